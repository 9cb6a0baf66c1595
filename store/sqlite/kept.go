package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// keptAtOnce is about how many cursors are copied in one transaction.
const keptAtOnce = 1000

// KeepCursors copies the cursors and watermarks of a plugin's integrations before the
// program of digest begins, which writes what the one before does not read (K17). A
// copy that there is, is replaced. Work goes on meanwhile: of what it moves the copy
// has the one or the other, and to begin again at the earlier loses nothing.
func (db *DB) KeepCursors(ctx context.Context, plugin, digest string) error {
	if err := db.keepCursors(ctx, plugin, digest); err != nil {
		return fmt.Errorf("keep cursors of plugin %s: %w", plugin, err)
	}
	return nil
}

func (db *DB) keepCursors(ctx context.Context, plugin, digest string) error {
	for _, drop := range dropKeptOf() { // before the row that says there is a copy, which is not whole yet
		for more := true; more; {
			err := db.update(ctx, func(ctx context.Context, t *tx) error {
				n, err := t.exec(ctx, drop, plugin, keptAtOnce)
				more = n == keptAtOnce
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	var ids []int64
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		ids = nil
		if _, err := t.exec(ctx, `
			INSERT INTO kept_states (plugin, digest, at, whole)
			VALUES ($1, $2, $3, 0)
			ON CONFLICT (plugin) DO UPDATE
			SET digest = excluded.digest, at = excluded.at, whole = 0`, plugin, digest, t.ms); err != nil {
			return err
		}
		return t.each(ctx, "SELECT id FROM integrations WHERE plugin = $1 ORDER BY id", []any{plugin}, func(s scanner) error {
			var id int64
			err := s.Scan(&id)
			ids = append(ids, id)
			return err
		})
	})
	if err != nil {
		return err
	}
	c := keeper{plugin: plugin, ids: ids}
	for len(c.ids) > 0 {
		next := c
		if err := db.update(ctx, func(ctx context.Context, t *tx) error {
			next = c // a transaction may be done again
			return next.portion(ctx, t)
		}); err != nil {
			return err
		}
		c = next
	}
	return db.update(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, "UPDATE kept_states SET whole = 1 WHERE plugin = $1", plugin)
		return err
	})
}

// keeper copies cursors in portions.
type keeper struct {
	plugin               string
	ids                  []int64 // of integrations that are not done
	connector, partition string  // of the first of them, done up to here
}

// portion copies about keptAtOnce cursors.
func (k *keeper) portion(ctx context.Context, t *tx) error {
	for copied := 0; copied < keptAtOnce && len(k.ids) > 0; {
		id := k.ids[0]
		if k.connector == "" {
			// As many as the integration has connectors.
			if _, err := t.exec(ctx, `
				INSERT INTO kept_watermarks (plugin, integration_id, connector, at, run_id)
				SELECT $1, integration_id, connector, at, run_id FROM watermarks WHERE integration_id = $2`, k.plugin, id); err != nil {
				return fmt.Errorf("watermarks of integration %d: %w", id, err)
			}
		}
		n := 0
		err := t.change(ctx, `
			INSERT INTO kept_cursors (plugin, integration_id, connector, partition, cursor, updated_at)
			SELECT   $1, integration_id, connector, partition, cursor, updated_at
			FROM     cursors
			WHERE    integration_id = $2 AND (connector > $3 OR connector = $3 AND partition > $4) AND cursor IS NOT NULL
			ORDER BY connector, partition
			LIMIT    $5
			RETURNING connector, partition`, []any{k.plugin, id, k.connector, k.partition, keptAtOnce}, func(s scanner) error {
			n++
			var connector, partition string
			err := s.Scan(&connector, &partition)
			if connector > k.connector || connector == k.connector && partition > k.partition {
				k.connector, k.partition = connector, partition
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("cursors of integration %d: %w", id, err)
		}
		copied += max(n, 1)
		if n < keptAtOnce {
			k.ids, k.connector, k.partition = k.ids[1:], "", ""
		}
	}
	return nil
}

// dropKeptOf are the statements that remove up to $2 rows of the copy of plugin $1.
func dropKeptOf() []string {
	return []string{
		"DELETE FROM kept_cursors    WHERE rowid IN (SELECT rowid FROM kept_cursors    WHERE plugin = $1 LIMIT $2)",
		"DELETE FROM kept_watermarks WHERE rowid IN (SELECT rowid FROM kept_watermarks WHERE plugin = $1 LIMIT $2)",
	}
}

// KeptCursors returns for the sake of which program the cursors of a plugin's
// integrations are kept; nothing if they are not.
func (db *DB) KeptCursors(ctx context.Context, plugin string) (digest string, err error) {
	digest, _, err = db.kept(ctx, plugin)
	if err != nil {
		return "", fmt.Errorf("kept cursors of plugin %s: %w", plugin, err)
	}
	return digest, nil
}

func (db *DB) kept(ctx context.Context, plugin string) (digest string, at int64, err error) {
	err = db.list(ctx, "SELECT digest, at FROM kept_states WHERE plugin = $1 AND whole = 1", []any{plugin}, func(s scanner) error {
		return s.Scan(&digest, &at)
	})
	return digest, at, err
}

// RestoreCursors brings back the cursors and watermarks that KeepCursors copied, since
// the program before takes over again: of every integration that has moved since. What
// is under way of these is cancelled, writes nothing any more, and is planned anew; the
// records that it brought stay, and are found unchanged. Their caches are emptied. It
// returns the full names of the integrations, and does nothing without a copy, which
// stays until DropKept: a host that ends before it has written what took over does it
// again.
func (db *DB) RestoreCursors(ctx context.Context, plugin, why string) (restored []string, err error) {
	if restored, err = db.restoreCursors(ctx, plugin, why); err != nil {
		return restored, fmt.Errorf("restore cursors of plugin %s: %w", plugin, err)
	}
	return restored, nil
}

func (db *DB) restoreCursors(ctx context.Context, plugin, why string) (restored []string, err error) {
	digest, at, err := db.kept(ctx, plugin)
	if err != nil || digest == "" {
		return nil, err
	}
	var ids []int64
	if err := db.list(ctx, movedSinceQuery, []any{plugin, at}, func(s scanner) error {
		var id int64
		err := s.Scan(&id)
		ids = append(ids, id)
		return err
	}); err != nil {
		return nil, err
	}
	for _, id := range ids {
		// One transaction an integration, however many partitions it has: with some of
		// its cursors it would go on from two versions of them.
		var name string
		err := db.update(ctx, func(ctx context.Context, t *tx) error {
			i, err := integrationByID(ctx, t, id)
			name = i.FullName()
			if err != nil {
				return err
			}
			return restoreIntegration(ctx, t, i, why)
		})
		if err != nil {
			return restored, fmt.Errorf("integration %d: %w", id, err)
		}
		restored = append(restored, name)
	}
	return restored, db.update(ctx, func(ctx context.Context, t *tx) error {
		// At most store.MaxCacheEntries, and a row for each version.
		if _, err := t.exec(ctx, "DELETE FROM cache WHERE scope = $1", "plugin:"+plugin); err != nil {
			return err
		}
		_, err := t.exec(ctx, "DELETE FROM plugin_states WHERE plugin = $1 AND since >= $2", plugin, at)
		return err
	})
}

// movedSinceQuery finds the integrations of plugin $1 of which something was written
// since $2, or may be by who works on it.
const movedSinceQuery = `
	SELECT   i.id
	FROM     integrations i
	WHERE    i.plugin = $1
	  AND    (EXISTS (SELECT 1 FROM cursors c WHERE c.integration_id = i.id AND c.updated_at >= $2)
	      OR  EXISTS (SELECT 1 FROM runs r WHERE r.integration_id = i.id AND r.state IN ('pending', 'processing', 'delayed') AND r.started_at IS NOT NULL)
	      OR  EXISTS (SELECT 1 FROM runs r WHERE r.integration_id = i.id AND r.ended_at >= $2))
	ORDER BY i.id`

// restoreIntegration puts an integration back to its kept cursors.
func restoreIntegration(ctx context.Context, t *tx, i store.Integration, why string) error {
	const begun = " AND started_at IS NOT NULL"
	again, err := begunRuns(ctx, t, i.ID)
	if err != nil {
		return err
	}
	if err := cancelRunsIn(ctx, t, i.ID, store.ClassPull, why, begun); err != nil {
		return err
	}
	for _, query := range []string{
		`
		DELETE FROM cursors
		WHERE  integration_id = $1
		  AND  NOT EXISTS (SELECT 1 FROM kept_cursors k
		                   WHERE  k.integration_id = $1 AND k.connector = cursors.connector AND k.partition = cursors.partition)`, `
		INSERT INTO cursors (integration_id, connector, partition, cursor, updated_at)
		SELECT integration_id, connector, partition, cursor, updated_at
		FROM   kept_cursors
		WHERE  integration_id = $1
		ON CONFLICT (integration_id, connector, partition) DO UPDATE
		SET    cursor = excluded.cursor, updated_at = excluded.updated_at, next = NULL, next_run = NULL`, `
		DELETE FROM watermarks
		WHERE  integration_id = $1
		  AND  NOT EXISTS (SELECT 1 FROM kept_watermarks k WHERE k.integration_id = $1 AND k.connector = watermarks.connector)`, `
		INSERT INTO watermarks (integration_id, connector, at, run_id)
		SELECT integration_id, connector, at, run_id
		FROM   kept_watermarks
		WHERE  integration_id = $1
		ON CONFLICT (integration_id, connector) DO UPDATE
		SET    at = excluded.at, run_id = excluded.run_id`,
	} {
		if _, err := t.exec(ctx, query, i.ID); err != nil {
			return err
		}
	}
	for _, scope := range []string{"integration:" + i.UID, "tenant:" + i.Tenant + ":" + i.Plugin} {
		if _, err := t.exec(ctx, "DELETE FROM cache WHERE scope = $1", scope); err != nil { // at most store.MaxCacheEntries
			return err
		}
	}
	if err := revoke(ctx, t, i.ID, store.ClassPull); err != nil {
		return err
	}
	for _, req := range again {
		if _, _, err := request(ctx, t, req); errors.Is(err, store.ErrConflict) {
			continue // it may not run at all now
		} else if err != nil {
			return err
		}
		if err := nudge(ctx, t, i.ID, store.ClassPull, t.ms, prioOf(req.Kind)); err != nil {
			return err
		}
	}
	return nil
}

// begunRuns returns requests for runs like those of an integration that have begun and
// are not over: at most one for each set of parameters.
func begunRuns(ctx context.Context, t *tx, integrationID int64) (out []store.RunRequest, err error) {
	var ids []int64
	err = t.each(ctx, `
		SELECT   id
		FROM     runs
		WHERE    integration_id = $1 AND class = $2 AND state IN ('pending', 'processing', 'delayed') AND started_at IS NOT NULL
		ORDER BY id`, []any{integrationID, store.ClassPull}, func(s scanner) error {
		var id int64
		err := s.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open runs of integration %d: %w", integrationID, err)
	}
	for _, id := range ids {
		r, err := loadRun(ctx, t, id)
		if err != nil {
			return nil, err
		}
		out = append(out, store.RunRequest{
			IntegrationID: integrationID, Class: r.Class, Kind: r.Kind, Connectors: r.Connectors,
			Params: r.Params, ParamsSum: r.ParamsSum, Force: r.Force, AcceptDeletes: r.AcceptDeletes,
		})
	}
	return out, nil
}

// DropKept forgets copies of cursors but those of the plugins that it is told of, a
// portion at a time.
func (db *DB) DropKept(ctx context.Context, but []string) (more bool, err error) {
	names, err := encodeList(but)
	if err != nil {
		return false, err
	}
	const others = "plugin NOT IN (SELECT value FROM json_each($1))"
	for _, table := range []string{"kept_states", "kept_cursors", "kept_watermarks"} {
		if found, err := db.any(ctx, "SELECT plugin FROM "+table+" WHERE "+others+" LIMIT 1", names); err != nil || !found {
			if err != nil {
				return false, fmt.Errorf("drop kept cursors: %w", err)
			}
			continue
		}
		more, err := db.portion(ctx, func(ctx context.Context, t *tx, n int) (int64, error) {
			return t.exec(ctx, "DELETE FROM "+table+" WHERE rowid IN (SELECT rowid FROM "+table+" WHERE "+others+" LIMIT $2 + 0)", names, n)
		})
		if err != nil || more {
			return more, err
		}
	}
	return false, nil
}
