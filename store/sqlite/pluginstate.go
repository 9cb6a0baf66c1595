package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackfield/jackfield/store"
)

// stateOverlap is how long a process whose place another has taken may still write: a
// call's life and the time to drain, with something to spare.
const stateOverlap = 15 * time.Minute

// saveState keeps from when on a plugin writes which version of opaque data.
func saveState(ctx context.Context, t *tx, m store.PluginMove) error {
	if m.To != store.PluginActive && m.To != store.PluginDraining && m.To != store.PluginRolledBack {
		return nil
	}
	_, err := t.exec(ctx, `
		INSERT INTO plugin_states (plugin, since, version)
		SELECT $1, $2, $3
		WHERE  coalesce((SELECT version FROM plugin_states WHERE plugin = $1 ORDER BY since DESC LIMIT 1), 0) <> $3
		ON CONFLICT (plugin, since) DO UPDATE SET version = excluded.version`, m.Plugin, m.At.UnixMilli(), int64(m.StateWrites))
	return err
}

// stateSpan is a time in which a plugin wrote one version.
type stateSpan struct {
	version     int
	since, till int64
}

// UnreadState returns what a plugin's integrations hold of opaque data whose version
// is not among reads: of each version one example. It looks at cursors, and at the
// streams of runs that are not over; a forced run starts anew without either. It takes
// a while where there are very many, but only if there is a version that is not read.
func (db *DB) UnreadState(ctx context.Context, plugin string, reads []int) ([]store.UnreadState, error) {
	spans, err := db.stateSpans(ctx, plugin)
	if err != nil {
		return nil, fmt.Errorf("versions of state of plugin %s: %w", plugin, err)
	}
	var out []store.UnreadState
	for _, s := range spans {
		known := slices.ContainsFunc(out, func(u store.UnreadState) bool { return u.Version == s.version })
		if s.version == 0 || known || slices.Contains(reads, s.version) {
			continue
		}
		u, found, err := db.unread(ctx, plugin, s)
		if err != nil {
			return nil, fmt.Errorf("state %d of plugin %s: %w", s.version, plugin, err)
		}
		if found {
			out = append(out, u)
		}
	}
	return out, nil
}

// stateSpans returns when a plugin wrote what, the oldest first.
func (db *DB) stateSpans(ctx context.Context, plugin string) (out []stateSpan, err error) {
	err = db.list(ctx, "SELECT version, since FROM plugin_states WHERE plugin = $1 ORDER BY since", []any{plugin}, func(s scanner) error {
		span := stateSpan{till: 1 << 62}
		err := s.Scan(&span.version, &span.since)
		if n := len(out); n > 0 {
			out[n-1].till = span.since + stateOverlap.Milliseconds()
		}
		out = append(out, span)
		return err
	})
	return out, err
}

// unread finds something that was written in the span.
func (db *DB) unread(ctx context.Context, plugin string, span stateSpan) (u store.UnreadState, found bool, err error) {
	for _, query := range []string{`
		SELECT t.name || '/' || i.name, c.connector, 0
		FROM   integrations i
		JOIN   tenants t ON t.id = i.tenant_id
		JOIN   cursors c ON c.integration_id = i.id
		WHERE  i.plugin = $1 AND i.removed_at IS NULL AND c.updated_at >= $2 AND c.updated_at < $3
		LIMIT  1`, `
		SELECT t.name || '/' || i.name, CASE WHEN s.connector = ':' THEN '' ELSE s.connector END, r.id
		FROM   integrations i
		JOIN   tenants t ON t.id = i.tenant_id
		JOIN   runs r ON r.integration_id = i.id AND r.state IN ('pending', 'processing', 'delayed')
		JOIN   streams s ON s.run_id = r.id AND s.state NOT IN ('processed', 'cancelled')
		WHERE  i.plugin = $1 AND i.removed_at IS NULL AND s.updated_at >= $2 AND s.created_at < $3
		       AND (s.data IS NOT NULL OR s.page IS NOT NULL OR s.checkpoint IS NOT NULL)
		LIMIT  1`} {
		err = db.list(ctx, query, []any{plugin, span.since, span.till}, func(s scanner) error {
			found = true
			return s.Scan(&u.Integration, &u.Connector, &u.Run)
		})
		if err != nil || found {
			break
		}
	}
	u.Version = span.version
	return u, found, err
}
