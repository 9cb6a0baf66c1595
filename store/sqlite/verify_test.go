package sqlite

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// breaks tells for each invariant what breaks it, in the store that newSound
// returns.
func breaks() map[string]string {
	return map[string]string{
		"run-counters":        "UPDATE runs SET n_pending = n_pending + 1 WHERE id = 2",
		"run-records":         "UPDATE runs SET read = read + 1, added = added + 1 WHERE id = 2",
		"run-warnings":        "INSERT INTO warnings (run_id, stream_id, message, at) VALUES (1, 1, 'twice', 0)",
		"open-run-work":       "UPDATE streams SET state = 'processed', processed_at = 0 WHERE run_id = 2",
		"run-cancelling":      "INSERT INTO cancelling_runs (run_id) VALUES (2)",
		"run-event":           "DELETE FROM events WHERE run_id = 1",
		"run-one-end":         "INSERT INTO events (at, kind, integration_id, run_id) VALUES (0, 'run.processed', 1, 1)",
		"run-times":           "UPDATE runs SET ended_at = 0 WHERE id = 2",
		"processed-run":       "UPDATE runs SET planned_at = NULL WHERE id = 1",
		"run-plan":            "UPDATE runs SET planned_at = NULL WHERE id = 2",
		"active-runs":         "UPDATE runs SET integration_id = 2, state = 'processing', ended_at = NULL WHERE id = 1",
		"run-data":            "INSERT INTO run_data (run_id, preprocessed) VALUES (9, x'')",
		"run-of-warning":      "UPDATE warnings SET run_id = 9",
		"waiting-stream":      "UPDATE streams SET state = 'pending', processed_at = NULL WHERE run_id = 1",
		"busy-stream":         "UPDATE lanes SET owner = NULL, lease_until = NULL",
		"stream-records":      "UPDATE streams SET read = read + 1 WHERE run_id = 2",
		"stream-pages":        "UPDATE streams SET pages = seq + 1 WHERE run_id = 2",
		"stream-end":          "UPDATE streams SET processed_at = NULL WHERE run_id = 1",
		"stream-family":       "DELETE FROM runs WHERE id = 1",
		"stream-claims":       "UPDATE streams SET claim = 0 WHERE run_id = 2",
		"stream-limit-key":    "UPDATE streams SET limit_key = '' WHERE run_id = 1",
		"stream-partition":    "UPDATE streams SET partition = 'p' WHERE run_id = 2 AND type = 'root'",
		"lane-lease":          "UPDATE lanes SET owner = 'somebody' WHERE id = 2",
		"lane-of-integration": "UPDATE lanes SET plugin = 'other' WHERE id = 1",
		"lane-of-open-run":    "UPDATE lanes SET owner = NULL, lease_until = NULL, wake_at = NULL WHERE id = 2",
		"lane-of-schedule":    "UPDATE lanes SET wake_at = wake_at + 86400000 WHERE id = 4",
		"lane-disabled":       "UPDATE lanes SET owner = '1-x', lease_until = 1 WHERE id = 3",
		"lane-class":          "UPDATE lanes SET prio = 7 WHERE id = 2",
		"lane-head":           "DELETE FROM lane_heads",
		"head-lane":           "UPDATE lane_heads SET wake_at = wake_at - 1",
		"lane-tenant":         "UPDATE lanes SET tenant_id = 9",
		"integration-removed": "UPDATE integrations SET removed_at = 1 WHERE id = 1",
		"cursor-aside":        "UPDATE runs SET force = 0 WHERE id = 2",
		"cursor-owner":        "UPDATE cursors SET partition = ''",
		"watermark":           "UPDATE watermarks SET at = at + 1",
		"record-shape":        "UPDATE records SET data = NULL WHERE deleted = 0",
		"record-position":     "UPDATE records SET pos = id - 1",
		"feed-position":       "UPDATE records SET pos = 1000000",
		"record-owner":        "UPDATE records SET integration_id = 9",
		"member-tenant":       "INSERT INTO member_sources (record_id, tenant_id, member_id, integration_id, external_id) VALUES (1, 9, 1, 1, 'x')",
		"claim-tenant":        "INSERT INTO member_claims (tenant_id, platform, username, split, record_id) VALUES (9, 'x', 'y', 0, 1)",
		"record-hash":         "UPDATE records SET data = replace(data, '1', '2')",
		"schema-guards":       "DROP INDEX integrations_name",
	}
}

// stepBreaks tells what breaks an invariant for a run, where breaks does so for
// what has none.
func stepBreaks() map[string]string {
	return map[string]string{
		"lane-disabled": "UPDATE integrations SET state = 'disabled' WHERE id = 2",
		"stream-family": "UPDATE streams SET parent_id = 1 WHERE run_id = 2 AND type = 'root'",
	}
}

// rows: I01, I02, I03, I04, I05, I06, I09, K01, K03, K05, K08, K09, K10, K11, K12
func TestVerifyFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	known := map[string]invariant{"record-hash": {}, "schema-guards": {}}
	for _, inv := range invariants() {
		require.NotContains(t, known, inv.name, "a name of its own")
		known[inv.name] = inv
	}
	require.Equal(t, slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(breaks())), "each is broken here")
	for _, r := range stepRules() {
		require.Contains(t, known, r.name)
	}
	for name, statement := range breaks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stepped []store.Violation // the writer's, until it has answered
			db := newSound(t, func(found []store.Violation) { stepped = append(stepped, found...) })
			require.Empty(t, stepped)
			if name != "schema-guards" {
				unguard(t, db)
				require.Equal(t, []string{"schema-guards"}, broken(t, db.Verify))
			}
			execRaw(t, db, statement)
			require.Contains(t, broken(t, db.Verify), name)
			if known[name].open != "" {
				require.Contains(t, broken(t, db.VerifyCheap), name)
			}
			if slices.ContainsFunc(stepRules(), func(r stepRule) bool { return r.name == name }) {
				if another, ok := stepBreaks()[name]; ok {
					execRaw(t, db, another)
				}
				require.NoError(t, db.update(t.Context(), func(_ context.Context, tx *tx) error {
					tx.touch(1)
					tx.touch(2)
					return nil
				}))
				require.Contains(t, broken(t, func(context.Context) ([]store.Violation, error) { return stepped, nil }), name)
			}
		})
	}
}

func TestVerifyNamesTheFirstRows(t *testing.T) {
	t.Parallel()
	db := newSound(t, nil)
	execRaw(t, db, `
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
		INSERT INTO records (id, integration_id, kind, external_id, deleted, hash, pos, data)
		SELECT 1000 + i, 1, 'many', i, 0, x'00112233445566778899aabbccddeeff', 1000 + i, '{}' FROM n`)
	found, err := db.Verify(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "K05 record-hash: the hash of a record is that of what is stored: broken by "+
		"record 1001, record 1002, record 1003, record 1004, record 1005, and more", found[0].String())
	execRaw(t, db, "UPDATE records SET hash = NULL WHERE kind = 'many' AND id < 12000")
	execRaw(t, db, "DELETE FROM records WHERE kind = 'many' AND id > 12001")
	found, err = db.Verify(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1, "on the last page")
	require.Equal(t, "record 12000, record 12001", found[0].Found)
}

func TestVerifyEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	db := newSound(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := db.Verify(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = db.VerifyCheap(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, db.Close())
	_, err = db.VerifyCheap(t.Context())
	require.ErrorIs(t, err, store.ErrClosed)
}

// unguard drops what would refuse a statement.
func unguard(t *testing.T, db *DB) {
	t.Helper()
	for _, name := range guards() {
		kind := "INDEX"
		if strings.HasSuffix(name, "_birth") || strings.HasSuffix(name, "_move") {
			kind = "TRIGGER"
		}
		execRaw(t, db, "DROP "+kind+" "+name)
	}
}

// broken returns the names of what is found.
func broken(t *testing.T, verify func(context.Context) ([]store.Violation, error)) (names []string) {
	t.Helper()
	found, err := verify(t.Context())
	require.NoError(t, err)
	for _, v := range found {
		require.NotEmpty(t, v.Found)
		names = append(names, v.Name)
	}
	return names
}

func execRaw(t testing.TB, db *DB, statement string) {
	t.Helper()
	require.NoError(t, db.update(t.Context(), func(ctx context.Context, tx *tx) error {
		_, err := tx.exec(ctx, statement)
		return err
	}), statement)
}

// newSound returns a store with a bit of everything in it: integration 1 has a run
// that is processed, 2 a forced one that is under way, 3 is disabled, 4 waits for
// its first check.
func newSound(t *testing.T, onStep func([]store.Violation)) *DB {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var ticks atomic.Int64 // the writer asks for the time beside the test
	h := &host{t: t, now: now, lanes: map[int64]store.Lane{}}
	h.db = openTemp(t, Options{NoSync: true, OnStep: onStep, Now: func() time.Time { return now.Add(time.Duration(ticks.Add(1)) * time.Millisecond) }})
	for n := range 4 {
		require.NoError(t, h.db.ApplyChanges(t.Context(), []store.Change{{
			Op: store.ChangeCreate, UID: fmt.Sprint(n), Sync: n < 2, NextCheckAt: now.Add(time.Hour), Spec: store.IntegrationSpec{
				Tenant: "acme", Name: fmt.Sprint(n), Plugin: "git", Connectors: []string{"a", "b"}, Every: 60, Enabled: n != 2,
			},
		}}))
	}
	h.whole(1, store.RunRequest{IntegrationID: 1, Kind: store.RunOnboarding})
	run := h.begin(2, store.RunRequest{IntegrationID: 2, Kind: store.RunCheck, Force: true})
	h.plan(2, run)
	s := h.claimOne(2, run)
	h.applyTo(2, s, store.Segment{Records: []store.Record{{Kind: "a", ExternalID: "9", Data: []byte("1")}}, Cursor: []byte("c")})
	require.Empty(t, broken(t, h.db.Verify))
	require.Empty(t, broken(t, h.db.VerifyCheap))
	return h.db
}

// begin asks for a run, claims the lane of that integration and begins it.
func (h *host) begin(lane int64, req store.RunRequest) int64 {
	h.t.Helper()
	r, _, err := h.db.RequestRun(h.t.Context(), req)
	require.NoError(h.t, err)
	lanes, err := h.db.ClaimLanes(h.t.Context(), store.LaneClaim{Plugins: []string{"git"}, Limit: 10, Lease: time.Hour})
	require.NoError(h.t, err)
	for _, l := range lanes {
		h.lanes[l.ID] = l
		if l.ID != lane {
			require.NoError(h.t, h.db.ReleaseLane(h.t.Context(), l))
		}
	}
	_, err = h.db.BeginRun(h.t.Context(), h.lanes[lane].Ref(), r.ID, store.RunBegin{})
	require.NoError(h.t, err)
	return r.ID
}

func (h *host) claimOne(lane, run int64) store.Stream {
	h.t.Helper()
	streams, err := h.db.ClaimStreams(h.t.Context(), h.lanes[lane].Ref(), run, 1)
	require.NoError(h.t, err)
	require.Len(h.t, streams, 1)
	return streams[0]
}

func (h *host) applyTo(lane int64, s store.Stream, seg store.Segment) {
	h.t.Helper()
	l := h.lanes[lane]
	seg.Lane, seg.Generation, seg.RunID, seg.StreamID, seg.Claim, seg.Seq = l.Ref(), l.Generation, s.RunID, s.ID, s.Claim, s.Seq
	_, err := h.db.Apply(h.t.Context(), seg)
	require.NoError(h.t, err)
}

// plan gives the run two streams, each with a partition.
func (h *host) plan(lane, run int64) {
	h.t.Helper()
	h.applyTo(lane, h.claimOne(lane, run), store.Segment{
		Streams: []store.NewStream{{Ident: "1", Connector: "a", Partition: "1"}, {Ident: "2", Connector: "a", Partition: "2"}},
		End:     &store.StreamEnd{State: store.StreamProcessed, Answered: true},
	})
}

// whole does a run from its request to its end, and gives the lane back.
func (h *host) whole(lane int64, req store.RunRequest) {
	h.t.Helper()
	done := &store.StreamEnd{State: store.StreamProcessed, Answered: true}
	run := h.begin(lane, req)
	h.plan(lane, run)
	h.applyTo(lane, h.claimOne(lane, run), store.Segment{
		Records:  []store.Record{{Kind: "a", ExternalID: "1", Data: []byte("1")}, {Kind: "a", ExternalID: "2", Deleted: true}},
		Warnings: []store.Warning{{Message: "odd"}}, Cursor: []byte("c"), Preprocessed: []byte("p"),
		Streams: []store.NewStream{{Ident: "3", Connector: "b"}},
		End:     &store.StreamEnd{State: store.StreamPending, NextPage: []byte("next"), Answered: true},
	})
	for range 3 {
		h.applyTo(lane, h.claimOne(lane, run), store.Segment{
			Records: []store.Record{{Kind: "a", ExternalID: "3", Data: []byte("1")}}, End: done,
		})
	}
	require.NoError(h.t, h.db.ReleaseLane(h.t.Context(), h.lanes[lane]))
}
