package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// moveCircuit does what a segment says of the circuit that its stream uses.
func moveCircuit(ctx context.Context, t *tx, s *streamRow, c *store.CircuitChange) (err error) {
	switch c.Move {
	case store.CircuitOpen:
		_, err = t.exec(ctx, `
			INSERT INTO circuits (integration_id, key, host, opened_at, until, opens, message)
			VALUES ($1, $2, $3, 0, 0, 0, '')
			ON CONFLICT (integration_id, key, host) DO NOTHING`, s.integrationID, s.limitKey, c.Host)
		if err == nil { // the keys of an integration that failed there: few
			_, err = t.exec(ctx, `
				UPDATE circuits
				SET    opened_at = $3, until = $4, opens = $5, message = $6, probing = 0
				WHERE  integration_id = $1 AND host = $2`,
				s.integrationID, c.Host, c.OpenedAt.UnixMilli(), c.Until.UnixMilli(), c.Opens, c.Message)
		}
	case store.CircuitJoin:
		_, err = t.exec(ctx, `
			INSERT INTO circuits (integration_id, key, host, opened_at, until, opens, message, probing)
			SELECT   integration_id, $2, host, opened_at, until, opens, message, probing
			FROM     circuits
			WHERE    integration_id = $1 AND host = $3
			ORDER BY until DESC
			LIMIT    1
			ON CONFLICT (integration_id, key, host) DO NOTHING`, s.integrationID, s.limitKey, c.Host)
	case store.CircuitClose:
		_, err = t.exec(ctx, "DELETE FROM circuits WHERE integration_id = $1 AND host = $2", s.integrationID, c.Host)
	default:
		err = fmt.Errorf("move %d: %w", c.Move, invalid())
	}
	if err != nil {
		return fmt.Errorf("circuit of %s: %w", c.Host, err)
	}
	return nil
}

// circuitCome returns when a circuit may be tried: now if its time lies further
// ahead than any does, so that the clock must have been set back (K09).
func circuitCome(at, now int64) int64 {
	if at > now+2*store.ProbeTime.Milliseconds() {
		return now
	}
	return at
}

// probes leaves of the streams that would probe a circuit one for each.
func probes(ctx context.Context, t *tx, r *run, due []dueStream) ([]dueStream, error) {
	out := due[:0]
	for _, d := range due {
		if d.probes == "" {
			out = append(out, d)
			continue
		}
		var (
			c            store.Circuit
			opened, till int64
		)
		err := t.get(ctx, `
			SELECT   host, opened_at, until, opens, message
			FROM     circuits
			WHERE    integration_id = $1 AND key = $2
			ORDER BY until DESC
			LIMIT    1`, []any{r.IntegrationID, d.probes}, &c.Host, &opened, &till, &c.Opens, &c.Message)
		if errors.Is(err, sql.ErrNoRows) || err == nil && circuitCome(till, t.ms) > t.ms {
			continue // another one of this claim tries it
		}
		if err != nil {
			return nil, fmt.Errorf("probe circuits of run %d: %w", r.ID, err)
		}
		if _, err := t.exec(ctx, `
			UPDATE circuits
			SET    until = $3, probing = 1
			WHERE  integration_id = $1 AND host = $2`, r.IntegrationID, c.Host, t.ms+store.ProbeTime.Milliseconds()); err != nil {
			return nil, fmt.Errorf("probe circuit of %s: %w", c.Host, err)
		}
		c.OpenedAt, c.Until = fromMillis(opened), fromMillis(till)
		d.probe = &c
		out = append(out, d)
	}
	return out, nil
}

// endProbes lets another probe go ahead at once where one did not come to its end.
func endProbes(ctx context.Context, t *tx, integrationID int64) error {
	_, err := t.exec(ctx, "UPDATE circuits SET until = $2, probing = 0 WHERE integration_id = $1 AND probing = 1", integrationID, t.ms)
	if err != nil {
		return fmt.Errorf("probes of integration %d: %w", integrationID, err)
	}
	return nil
}

// hurryCircuits lets a probe go ahead now.
func hurryCircuits(ctx context.Context, t *tx, integrationID int64) error {
	_, err := t.exec(ctx, "UPDATE circuits SET until = $2 WHERE integration_id = $1 AND probing = 0 AND until > $2", integrationID, t.ms)
	if err != nil {
		return fmt.Errorf("hurry circuits of integration %d: %w", integrationID, err)
	}
	return nil
}

// Circuits returns the circuits of an integration that are open, by host.
func (db *DB) Circuits(ctx context.Context, integrationID int64) (out []store.Circuit, err error) {
	err = db.list(ctx, `
		SELECT   host, min(opened_at), max(until), max(opens), max(probing), max(message)
		FROM     circuits
		WHERE    integration_id = $1
		GROUP BY host
		ORDER BY host`, []any{integrationID}, func(s scanner) error {
		var (
			c             store.Circuit
			opened, until int64
		)
		err := s.Scan(&c.Host, &opened, &until, &c.Opens, &c.Probing, &c.Message)
		c.OpenedAt, c.Until = fromMillis(opened), fromMillis(until)
		out = append(out, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("circuits of integration %d: %w", integrationID, err)
	}
	return out, nil
}
