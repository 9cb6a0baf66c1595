package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// Credential returns a rotating token of an integration, sealed.
func (db *DB) Credential(ctx context.Context, integrationID int64, name string) (store.Credential, error) {
	var c store.Credential
	err := db.get(ctx, credentialQuery, []any{integrationID, name}, func(s scanner) (err error) {
		c, err = scanCredential(s)
		return err
	})
	if err != nil {
		return store.Credential{}, fmt.Errorf("credential %s of integration %d: %w", name, integrationID, err)
	}
	return c, nil
}

const credentialQuery = `
	SELECT integration_id, name, version, sealed, expires_at, updated_at
	FROM   credentials
	WHERE  integration_id = $1 AND name = $2`

func scanCredential(s scanner) (store.Credential, error) {
	var (
		c       store.Credential
		expires moment
		updated int64
	)
	err := s.Scan(&c.IntegrationID, &c.Name, &c.Version, &c.Sealed, &expires, &updated)
	c.ExpiresAt, c.UpdatedAt = expires.time(), fromMillis(updated)
	return c, err
}

// CommitCredential stores a new token in place of the version that the caller
// has seen, 0 if there was none. It is durable when this returns. It returns
// store.ErrConflict if the version has moved on: somebody else has refreshed it.
func (db *DB) CommitCredential(ctx context.Context, integrationID int64, name string, version int64, sealed []byte, expires time.Time) (c store.Credential, err error) {
	if name == "" || len(sealed) == 0 || len(sealed) > store.MaxRecordBytes {
		return store.Credential{}, fmt.Errorf("credential %q of integration %d, %d bytes: %w", name, integrationID, len(sealed), store.ErrInvalid)
	}
	err = db.always(ctx, func(ctx context.Context, t *tx) error {
		query := `
			UPDATE credentials
			SET    version = version + 1, sealed = $4, expires_at = $5, updated_at = $6
			WHERE  integration_id = $1 AND name = $2 AND version = $3`
		if version == 0 {
			query = `
			INSERT INTO credentials (integration_id, name, version, sealed, expires_at, updated_at)
			VALUES ($1, $2, $3 + 1, $4, $5, $6)
			ON CONFLICT (integration_id, name) DO NOTHING`
		}
		n, err := t.exec(ctx, query, integrationID, name, version, sealed, millis(expires), t.ms)
		if err == nil && n == 0 {
			err = store.ErrConflict
		}
		if err != nil {
			return err
		}
		row, err := t.row(ctx, credentialQuery, integrationID, name)
		if err != nil {
			return err
		}
		c, err = scanCredential(row)
		return err
	})
	if err != nil {
		return store.Credential{}, fmt.Errorf("commit credential %s of integration %d: %w", name, integrationID, err)
	}
	return c, nil
}
