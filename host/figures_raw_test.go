//go:build unix

package main

import (
	"context"
	"database/sql"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	hcplugin "github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/store/sqlite"
)

// rawRecord is a row of records as a sync has stored it.
type rawRecord struct {
	kind, externalID string
	hash             []byte
	data             string
}

// The ceiling writes as fast as the driver allows.
const (
	rawRows        = 100  // of a statement
	rawTransaction = 1000 // rows
)

// openRaw opens the database of a data directory with the pragmas of the store's
// writer, beside which nothing else runs, so that it writes its log back itself.
func openRaw(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "jackfield.db")+"?_txlock=immediate&_dqs=0&_defensive=1"+
		"&_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=foreign_keys(1)"+
		"&_pragma=trusted_schema(0)&_pragma=cache_size(-16384)&_pragma=temp_store(memory)&_pragma=journal_size_limit(67108864)"+
		"&_pragma=wal_autocheckpoint(4000)")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	return db
}

// emptyStore returns a data directory with the store's tables and indexes.
func emptyStore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: dir})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return dir
}

// rawRecords returns the rows of the site's store, whose daemon has ended.
func (s *site) rawRecords() []rawRecord {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "data", "jackfield.db"))
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, db.Close()) }()
	rows, err := db.QueryContext(context.Background(), "SELECT kind, external_id, hash, data FROM records ORDER BY pos")
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, rows.Close()) }()
	var out []rawRecord
	for rows.Next() {
		var r rawRecord
		require.NoError(s.t, rows.Scan(&r.kind, &r.externalID, &r.hash, &r.data))
		out = append(out, r)
	}
	require.NoError(s.t, rows.Err())
	return out
}

// rawUpsert writes the records into an empty store by multi-row upserts alone:
// nothing is hashed, checked, counted or claimed.
func rawUpsert(t *testing.T, records []rawRecord) float64 {
	t.Helper()
	db := openRaw(t, emptyStore(t))
	defer func() { require.NoError(t, db.Close()) }()
	const columns = "id, integration_id, pos, kind, external_id, parent_kind, parent_id, version, occurred_at, deleted, hash, data"
	row := "(?" + strings.Repeat(",?", strings.Count(columns, ",")) + "),"
	query := `
		INSERT INTO records (` + columns + `)
		VALUES ` + strings.TrimSuffix(strings.Repeat(row, rawRows), ",") + `
		ON CONFLICT (integration_id, kind, external_id) DO UPDATE
		SET   parent_kind = excluded.parent_kind, parent_id = excluded.parent_id, version = excluded.version,
		      occurred_at = excluded.occurred_at, deleted = excluded.deleted, hash = excluded.hash, pos = excluded.pos, data = excluded.data
		WHERE records.hash IS DISTINCT FROM excluded.hash`
	ctx := untimed(t)
	stmt, err := db.PrepareContext(ctx, query)
	require.NoError(t, err)
	defer func() { require.NoError(t, stmt.Close()) }()
	args := make([]any, 0, 12*rawRows)
	began := time.Now()
	for from := 0; from < len(records); from += rawTransaction {
		tx, err := db.BeginTx(ctx, nil)
		require.NoError(t, err)
		in := tx.StmtContext(ctx, stmt) //nolint:sqlclosecheck // its transaction does
		for at := from; at < from+rawTransaction; at += rawRows {
			args = args[:0]
			for i := range records[at : at+rawRows] {
				r := &records[at+i]
				args = append(args, at+i+1, 1, at+i+1, r.kind, r.externalID, nil, nil, nil, nil, 0, r.hash, r.data)
			}
			_, err := in.ExecContext(ctx, args...)
			require.NoError(t, err)
		}
		require.NoError(t, tx.Commit())
	}
	return rate(len(records), time.Since(began))
}

// counting takes what a plugin emits and keeps nothing.
type counting struct{ records int }

// Send implements sdk.Sink.
func (c *counting) Send(_ context.Context, b sdk.Batch) error {
	c.records += len(b.Records)
	return nil
}

// Checkpoint implements sdk.Sink.
func (c *counting) Checkpoint(context.Context, sdk.Checkpoint) error { return nil }

// streamAlone makes the calls of a sync to a plugin that go-plugin started, with
// AutoMTLS and nothing of the host.
func streamAlone(t *testing.T, shape loadShape) float64 {
	t.Helper()
	bin, err := builds()
	require.NoError(t, err)
	starter := hcplugin.NewClient(&hcplugin.ClientConfig{
		HandshakeConfig: plugin.Handshake(), VersionedPlugins: plugin.Plugins(), Cmd: exec.CommandContext(untimed(t), filepath.Join(bin, "load")),
		AllowedProtocols: []hcplugin.Protocol{hcplugin.ProtocolGRPC}, AutoMTLS: true, GRPCDialOptions: plugin.DialOptions(),
		Logger: hclog.NewNullLogger(),
	})
	defer starter.Kill()
	protocol, err := starter.Client()
	require.NoError(t, err)
	dispensed, err := protocol.Dispense(plugin.Name)
	require.NoError(t, err)
	client, ok := dispensed.(*plugin.Client)
	require.True(t, ok)
	settings, err := sdk.Marshal(shape.settings())
	require.NoError(t, err)
	instance, err := client.Open(t.Context(), sdk.Integration{Settings: sdk.NewSettings(settings)})
	require.NoError(t, err)
	sink := &counting{}
	call := sdk.StreamCall{Stream: sdk.Stream{ID: "s0000", Connector: "things"}}
	began := time.Now()
	for range shape.pages {
		outcome, err := instance.ProcessStream(t.Context(), call, sdk.NewEmitter(sink))
		require.NoError(t, err)
		call.Page = outcome.NextPage
	}
	took := time.Since(began)
	require.Equal(t, shape.total(), sink.records)
	return rate(shape.total(), took)
}
