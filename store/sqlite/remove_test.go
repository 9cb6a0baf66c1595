package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// owner is an integration that has a row in every table that can have one of it.
type owner struct {
	id, tenant, run int64
	uid             string
}

// column is one of a table, as the schema has it.
type column struct {
	name, kind string
	needed     bool // no row without a value
}

func columnsOf(t *testing.T, db *DB) map[string][]column {
	t.Helper()
	out := map[string][]column{}
	var tables []string
	require.NoError(t, db.list(t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", nil, func(s scanner) error {
		var name string
		err := s.Scan(&name)
		tables = append(tables, name)
		return err
	}))
	for _, table := range tables {
		require.NoError(t, db.list(t.Context(), `SELECT name, type, "notnull" = 1 AND dflt_value IS NULL FROM pragma_table_info('`+table+`')`, nil, func(s scanner) error {
			var c column
			err := s.Scan(&c.name, &c.kind, &c.needed)
			out[table] = append(out[table], c)
			return err
		}))
	}
	return out
}

// belongs returns how a row says in a column that it belongs to the integration;
// ok is false if the column says nothing of that.
func (o owner) belongs(table, column string) (value any, ok bool) {
	switch table + "." + column {
	case "integrations.id":
		return o.id, true
	case "runs.id":
		return o.run, true
	case "quotas.name":
		return fmt.Sprintf("integration:%d", o.id), true
	case "cache.scope", "buckets.scope":
		return "integration:" + o.uid, true
	}
	switch column {
	case "integration_id":
		return o.id, true
	case "run_id", "next_run":
		return o.run, true
	default:
		return nil, false
	}
}

// fill puts a row into a table. Columns that need a value have one of their type.
func (o owner) fill(t *testing.T, db *DB, table string, columns []column) {
	t.Helper()
	exact := map[string]any{ // what a CHECK wants
		"kind": "member", "type": "root", "tenant_id": o.tenant, "record_id": o.id, "member_id": o.id, "merged_id": o.id, "share": 0.5, "accept": 0,
		"state": "pending", "phase": 500, "deleted": 0, "pos": 1,
	}
	var names []string
	var args []any
	filled := false
	for _, c := range columns {
		value, is := o.belongs(table, c.name)
		filled = filled || is
		if !is && (c.needed || c.name == "integration_id") {
			if value, is = exact[table+"."+c.name]; !is {
				value, is = exact[c.name]
			}
			if !is {
				value = map[string]any{"INTEGER": int64(1 << 50), "TEXT": `{}`, "BLOB": []byte("x"), "REAL": 0.5}[c.kind]
			}
			is = true
		}
		if is {
			names, args = append(names, c.name), append(args, value)
		}
	}
	if !filled {
		return
	}
	require.NoError(t, db.update(t.Context(), func(ctx context.Context, tx *tx) error {
		_, err := tx.exec(ctx, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+") VALUES ("+holes(len(names))+") ON CONFLICT DO NOTHING", args...)
		return err
	}), "a row of %s", table)
}

// left returns the tables that have rows of the integration.
func (o owner) left(t *testing.T, db *DB, tables map[string][]column) (out []string) {
	t.Helper()
	for table, columns := range tables {
		for _, c := range columns {
			value, ok := o.belongs(table, c.name)
			if !ok {
				continue
			}
			found, err := db.any(t.Context(), "SELECT 1 FROM "+table+" WHERE "+c.name+" = $1 LIMIT 1", value)
			require.NoError(t, err)
			if found {
				out = append(out, table)
				break
			}
		}
	}
	slices.Sort(out)
	return out
}

// newOwner makes an integration that has a row in every table, whatever tables
// there will be.
func newOwner(t *testing.T, b *bench, tenant, name string, tables map[string][]column) owner {
	t.Helper()
	require.NoError(t, b.db.ApplyChanges(t.Context(), []store.Change{{
		Op: store.ChangeCreate, UID: tenant + name, Sync: true,
		Spec: store.IntegrationSpec{Tenant: tenant, Name: name, Plugin: "git", Connectors: []string{"commits"}, Every: 20, Enabled: true},
	}}))
	i, err := b.db.IntegrationByUID(t.Context(), tenant+name)
	require.NoError(t, err)
	run, _, err := b.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: i.ID, Kind: store.RunOnboarding})
	require.NoError(t, err)
	o := owner{id: i.ID, tenant: i.TenantID, run: run.ID, uid: i.UID}
	made := []string{"integrations", "lanes", "runs", "events", "leaving_runs"} // by the store itself, the last one when the run goes
	for table, columns := range tables {
		if !slices.Contains(made, table) {
			o.fill(t, b.db, table, columns)
		}
	}
	return o
}

// rows: K22, O36, C43
//
// Of an integration that is gone for good there is no row left, in no table: the
// test asks the schema which there are. Those of a tenant go with its last one.
func TestNothingIsLeftOfWhatIsDeleted(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b := newBench(t, Options{NoSync: true, Now: func() time.Time { return at }}, 1)
	tables := columnsOf(t, b.db)
	gone, stays, last := newOwner(t, b, "one", "gone", tables), newOwner(t, b, "one", "stays", tables), newOwner(t, b, "two", "last", tables)
	whole := newOwner(t, b, "three", "whole", tables)
	full := gone.left(t, b.db, tables)
	for _, table := range []string{"circuits", "quotas", "buckets", "cache", "overlays", "seen", "member_sources", "member_splits", "connector_statuses", "credentials", "sweeps", "warnings"} {
		require.Contains(t, full, table)
	}
	for _, o := range []owner{gone, stays, last, whole} {
		require.Equal(t, full, o.left(t, b.db, tables))
		require.NoError(t, b.db.update(t.Context(), func(ctx context.Context, tx *tx) error {
			for _, query := range []string{
				"INSERT INTO services VALUES ($1, 'git', 'k', X'00', 0) ON CONFLICT DO NOTHING",
				"INSERT INTO attributes VALUES ($1, 'git', 'k', 'K', 't') ON CONFLICT DO NOTHING",
				"INSERT INTO attribute_sets (tenant_id, plugin, version, created_at) VALUES ($1, 'git', '1', 0) ON CONFLICT DO NOTHING",
				"INSERT INTO cache SELECT 'tenant:' || name || ':git', 'k', X'00', 9999999999999 FROM tenants WHERE id = $1 ON CONFLICT DO NOTHING",
				"INSERT INTO buckets SELECT 'tenant:' || name || ':git', 'k', 0 FROM tenants WHERE id = $1 ON CONFLICT DO NOTHING",
			} {
				if _, err := tx.exec(ctx, query, o.tenant); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	shared := sharedRows(t, b.db, "one")
	require.Len(t, shared, 5)
	require.Equal(t, shared, sharedRows(t, b.db, "two"))

	require.NoError(t, b.db.ApplyChanges(t.Context(), []store.Change{{Op: store.ChangeRemove, UID: gone.uid}, {Op: store.ChangeRemove, UID: last.uid}, {Op: store.ChangeRemove, UID: whole.uid}}))
	require.NoError(t, b.db.DeleteIntegration(t.Context(), gone.id))
	require.NoError(t, b.db.DeleteTenant(t.Context(), "three"))
	for range 4 { // the last one goes by its time
		at = at.Add(32 * 24 * time.Hour)
		for more := true; more; {
			var err error
			more, err = b.db.Purge(t.Context(), store.Retention{Deleted: 30 * 24 * time.Hour})
			require.NoError(t, err)
		}
	}
	// Events tell what happened, as long as all of them are kept. Sources of members
	// are marked when their record is gone, and go with the tenant's next step.
	kept := []string{"events", "member_sources"}
	require.Equal(t, kept, gone.left(t, b.db, tables))
	_, err := b.db.MarkLostSources(t.Context(), 0, 100)
	require.NoError(t, err)
	marked, err := b.db.any(t.Context(), "SELECT 1 FROM member_sources WHERE integration_id = $1 AND redo = 1", gone.id)
	require.NoError(t, err)
	require.True(t, marked)
	require.Equal(t, full, stays.left(t, b.db, tables), "what belongs to another one stays")
	require.Equal(t, shared, sharedRows(t, b.db, "one"))
	for name, o := range map[string]owner{"two": last, "three": whole} {
		require.Equal(t, []string{"events"}, o.left(t, b.db, tables), "nobody makes a step for a tenant without integrations")
		require.Empty(t, sharedRows(t, b.db, name))
		for table, columns := range tables {
			if slices.ContainsFunc(columns, func(c column) bool { return c.name == "tenant_id" }) {
				found, err := b.db.any(t.Context(), "SELECT 1 FROM "+table+" WHERE tenant_id = $1", o.tenant)
				require.NoError(t, err)
				require.False(t, found, "%s has rows of tenant %s", table, name)
			}
		}
		found, err := b.db.any(t.Context(), "SELECT 1 FROM tenants WHERE name = $1", name)
		require.NoError(t, err)
		require.Equal(t, o == last, found, "the name of a tenant goes when the tenant is deleted")
	}
	bad, err := b.db.any(t.Context(), "SELECT 1 FROM pragma_foreign_key_check")
	require.NoError(t, err)
	require.False(t, bad)
}

// sharedRows returns the tables that have rows of a tenant for the plugin git.
func sharedRows(t *testing.T, db *DB, tenant string) (out []string) {
	t.Helper()
	for table, where := range map[string]string{
		"services":       "tenant_id = (SELECT id FROM tenants WHERE name = $1)",
		"attributes":     "tenant_id = (SELECT id FROM tenants WHERE name = $1)",
		"attribute_sets": "tenant_id = (SELECT id FROM tenants WHERE name = $1)",
		"cache":          "scope = 'tenant:' || $1 || ':git'",
		"buckets":        "scope = 'tenant:' || $1 || ':git'",
	} {
		found, err := db.any(t.Context(), "SELECT 1 FROM "+table+" WHERE "+where, tenant)
		require.NoError(t, err)
		if found {
			out = append(out, table)
		}
	}
	slices.Sort(out)
	return out
}
