package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackfield/jackfield/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Schema returns the version of the schema that this program writes: the number
// of its migrations.
func Schema() (int, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	return len(names), nil
}

// migrate brings the schema up to date and returns its version, which is the
// number of the last migration. Each migration is one transaction together with
// its number: one that was interrupted starts anew.
func migrate(ctx context.Context, dsn string) (version int, err error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(names)
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return 0, fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("read schema version: %w", driverError(err))
	}
	if version > len(names) {
		return 0, store.Hint(fmt.Errorf("schema %d, this program knows %d: %w", version, len(names), store.ErrNewerSchema),
			"start the newer version of jackfield again, or restore a backup made before the upgrade")
	}
	for ; version < len(names); version++ {
		if err := migrateOne(ctx, db, names[version], version+1); err != nil {
			return 0, fmt.Errorf("migrate to schema %d: %w", version+1, driverError(err))
		}
	}
	return version, nil
}

func migrateOne(ctx context.Context, db *sql.DB, name string, version int) error {
	script, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = t.ExecContext(ctx, string(script))
	if err == nil {
		_, err = t.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
	}
	if err != nil {
		return errors.Join(err, t.Rollback())
	}
	return t.Commit()
}
