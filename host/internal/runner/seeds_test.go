package runner_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: C21, D06
//
// The last record and its time arrive each in its own place, both ways round: the
// system before gave the time as the record, and stopped after a page or never.
func TestD06TheLastRecordAndItsTimeAreNotMixedUp(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	s := &script{plan: planOf("a")}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanFinish}
	s.process = func(_ context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		page, _ := strconv.Atoi(string(call.Page))
		if page == 9 {
			return sdk.Outcome{}, nil
		}
		return sdk.Outcome{
			NextPage: []byte(strconv.Itoa(page + 1)), LastRecord: fmt.Sprintf("message %d", page),
			LastRecordTimestamp: until.Add(time.Duration(3-page) * time.Hour), // pages go back in time
		}, nil
	}
	var asked []sdk.FinishedCall
	s.finished = func(_ context.Context, call sdk.FinishedCall) (bool, error) {
		asked = append(asked, call)
		return call.LastRecordTimestamp.Before(until), nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.every = 20
		w.up()
		w.until(store.RunProcessed)
		onboarding := len(s.calls())
		require.Equal(t, 10, onboarding)
		w.processed(2)
		require.Len(t, s.calls()[onboarding:], 5, "neither one page nor all")
		require.Len(t, asked, 5)
		for page, call := range asked {
			require.Equal(t, fmt.Sprintf("message %d", page), call.LastRecord)
			require.True(t, until.Add(time.Duration(3-page)*time.Hour).Equal(call.LastRecordTimestamp))
		}
		require.Equal(t, "message 4", w.streams()["a"].LastRecord)
		require.True(t, until.Add(-time.Hour).Equal(w.streams()["a"].LastRecordAt), "both are kept")
	})
}

// rows: C19, D07
//
// Every page of a stream has the data that the stream was planned with, however
// many there are, and costs what the first one did.
// It runs by itself: it measures the memory of the process.
func TestD07EveryPageHasTheStreamsData(t *testing.T) {
	pages := 10_000
	if testing.Short() {
		pages = 300
	}
	s := &script{plan: func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		return out.Stream(ctx, sdk.Stream{ID: "pulls", Connector: "things", Data: []byte(`{"repo":"acme/app"}`)})
	}}
	var early, late uint64
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	lost := ""
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "pulls" {
			return sdk.Outcome{}, out.Stream(ctx, sdk.Stream{ID: "comments", Connector: "things", Data: []byte(`{"prNumber":17}`)})
		}
		page, _ := strconv.Atoi(string(call.Page))
		if string(call.Stream.Data) != `{"prNumber":17}` || call.Stream.ID != "comments" {
			lost = fmt.Sprintf("page %d of %q has %s", page, call.Stream.ID, call.Stream.Data)
		}
		switch page {
		case pages / 10:
			early = heap()
		case pages - 1:
			late = heap()
			return sdk.Outcome{}, nil
		}
		return sdk.Outcome{NextPage: []byte(strconv.Itoa(page + 1))}, thing(ctx, out, strconv.Itoa(page))
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed, store.RunError, store.RunPartial)
		require.Equal(t, store.RunProcessed, run.State)
		require.Empty(t, lost)
		require.Equal(t, int64(2), run.Streams.Total(), "all pages are one stream")
		require.Equal(t, int64(pages), w.streams()["comments"].Pages)
	})
	require.NotZero(t, early)
	require.Less(t, late, early+8<<20, "memory does not grow with the pages")
}

// rows: C15, D13
//
// What one platform calls 1 is not what another one does. The same page twice
// leaves the rows as they are, and an activity keeps the time that was told first.
func TestD13TheSameIDElsewhereIsAnotherRecord(t *testing.T) {
	t.Parallel()
	first := time.Date(2023, 5, 1, 10, 0, 0, 0, time.UTC)
	s := &script{plan: planOf("a")}
	told := func(integration string) (time.Time, string) { return first, "joined " + integration }
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		at, body := told(call.Run.ID)
		for range 2 { // the same page twice
			for _, err := range []error{
				out.Activity(ctx, sdk.Activity{ID: "U1", Type: "join", Platform: "slack", Timestamp: at, Body: body, Username: "ann"}),
				out.Record(ctx, sdk.Record{Kind: "join", ID: "U1", Data: []byte(`{"channel":"general"}`)}),
				out.Checkpoint(ctx, sdk.Checkpoint{}),
			} {
				if err != nil {
					return sdk.Outcome{}, err
				}
			}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.every = 20
		w.up()
		w.until(store.RunProcessed)
		w.create("two")
		w.processed(2)
		list := func() map[string]store.StoredRecord {
			all, err := w.db.Records(t.Context(), store.RecordFilter{})
			require.NoError(t, err)
			out := map[string]store.StoredRecord{}
			for _, r := range all {
				out[r.Integration+"/"+r.Kind+"/"+r.ExternalID] = r
			}
			require.Len(t, out, len(all))
			return out
		}
		before := list()
		require.Len(t, before, 4, "of each integration and kind its own")

		told = func(string) (time.Time, string) { return first.Add(time.Hour), "joined, it is said now" }
		w.processed(4)
		after := list()
		require.Len(t, after, 4)
		for _, in := range []string{"one", "two"} {
			r := after[in+"/activity/U1"]
			require.True(t, first.Equal(r.OccurredAt), "it keeps the time that was told first: %s", r.OccurredAt)
			require.Contains(t, string(r.Data), "it is said now")
			require.Equal(t, before[in+"/activity/U1"].Born, r.Born)
		}
		violations, err := w.db.Verify(t.Context())
		require.NoError(t, err)
		require.Empty(t, violations)
	})
}

// rows: D15, C30
//
// Streams hold no credential: the plugin asks for it in each call. So none is in
// the database, and streams that were queued before a rotation have the new one.
func TestD15StreamsHoldNoCredential(t *testing.T) {
	t.Parallel()
	const canary, rotated = "xoxb-CANARY-0123456789", "xoxb-PARROT-9876543210"
	s := &script{}
	s.manifest.Limits.PerRun = 1
	var used []string
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		if _, err := sdk.HostFrom(ctx).CommitCredential(ctx, "bot", 0, sdk.NewSecret(canary), time.Time{}); err != nil {
			return err
		}
		return planOf("a", "b", "c")(ctx, call, out)
	}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		host := sdk.HostFrom(ctx)
		c, err := host.Credential(ctx, "bot", 0)
		if err != nil {
			return sdk.Outcome{}, err
		}
		used = append(used, c.Token.Reveal())
		if call.Stream.ID == "a" {
			if _, err := host.CommitCredential(ctx, "bot", c.Version, sdk.NewSecret(rotated), time.Time{}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{Cursor: []byte("c")}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.vault = mirror{}
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, []string{canary, rotated, rotated}, used)
		w.down()
		files, err := filepath.Glob(filepath.Join(w.dir, "*"))
		require.NoError(t, err)
		found := false
		for _, name := range files {
			raw, err := os.ReadFile(name)
			require.NoError(t, err)
			for _, secret := range []string{canary, rotated} {
				require.False(t, bytes.Contains(raw, []byte(secret)), "%s holds it", name)
			}
			found = found || bytes.Contains(raw, mirrored([]byte(rotated)))
		}
		require.True(t, found, "it is kept sealed: the search finds what there is")
	})
}

// rows: C11, O27, D19
//
// A connector that failed is made good by the next run, though another one whose
// records led to it has moved on.
func TestD19AFailedConnectorIsMadeGoodByTheNextRun(t *testing.T) {
	t.Parallel()
	var marks map[string]time.Time // that the last plan was told
	s := &script{plan: func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		marks = call.Run.Watermarks
		for _, c := range call.Run.Connectors {
			if err := out.Stream(ctx, sdk.Stream{ID: c, Connector: c, Partition: "all"}); err != nil {
				return err
			}
		}
		return nil
	}}
	broken := true
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "comments" && broken {
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassConfig, Code: "down", Message: "the comments are not readable"}
		}
		since, _ := strconv.Atoi(string(call.Cursor))
		now := since
		for n := since; n < 3; n++ { // what changed since then
			if err := thing(ctx, out, call.Stream.ID+strconv.Itoa(n)); err != nil {
				return sdk.Outcome{}, err
			}
			now = n + 1
		}
		return sdk.Outcome{Cursor: []byte(strconv.Itoa(now))}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conns, w.every = []string{"tickets", "comments"}, 20
		w.up()
		w.until(store.RunPartial)
		require.Len(t, w.records(), 3, "the tickets alone")
		require.Contains(t, w.records(), "tickets2")
		broken = false
		w.processed(2)
		require.Contains(t, marks, "tickets")
		require.NotContains(t, marks, "comments", "what failed is not taken for read")
		require.Len(t, w.records(), 6)
		require.Contains(t, w.records(), "comments0")
		require.Equal(t, int64(3), w.run().Stats.Read, "the tickets are not read again")
	})
}

// rows: C17, K06
func TestParentsAreLinkedInBothOrders(t *testing.T) {
	t.Parallel()
	at := time.Date(2023, 5, 1, 10, 0, 0, 0, time.UTC)
	s := &script{plan: planOf("a", "b")}
	s.manifest.Limits.PerRun = 1
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		parent := sdk.Activity{ID: "parent of " + call.Stream.ID, Type: "message", Platform: "p", Timestamp: at, Username: "u"}
		child := sdk.Activity{ID: "child of " + call.Stream.ID, ParentID: parent.ID, Type: "reply", Platform: "p", Timestamp: at, Username: "u"}
		if call.Stream.ID == "b" {
			parent, child = child, parent // the child comes first
		}
		if err := out.Activity(ctx, parent); err != nil {
			return sdk.Outcome{}, err
		}
		if err := out.Checkpoint(ctx, sdk.Checkpoint{}); err != nil {
			return sdk.Outcome{}, err
		}
		orphan := sdk.Activity{ID: "orphan of " + call.Stream.ID, ParentID: "nobody", Type: "reply", Platform: "p", Timestamp: at, Username: "u"}
		if err := out.Activity(ctx, orphan); err != nil {
			return sdk.Outcome{}, err
		}
		return sdk.Outcome{}, out.Activity(ctx, child)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunProcessed)
		all, err := w.db.Records(t.Context(), store.RecordFilter{})
		require.NoError(t, err)
		there, err := w.db.Parents(t.Context(), all)
		require.NoError(t, err)
		links := map[string]string{}
		for _, r := range all {
			if r.ParentID != "" {
				links[r.ExternalID] = fmt.Sprintf("%s %s %t", r.ParentKind, r.ParentID, there[r.ParentKey()])
			}
		}
		require.Equal(t, map[string]string{
			"child of a": "activity parent of a true", "child of b": "activity parent of b true",
			"orphan of a": "activity nobody false", "orphan of b": "activity nobody false",
		}, links)
	})
}

// rows: C48
//
// A cache remembers also that there is nothing, for its time, and each scope is its
// own.
func TestTheCacheRemembersThatThereIsNothing(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var seen []string
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		host := sdk.HostFrom(ctx)
		for _, scope := range []sdk.CacheScope{sdk.CacheIntegration, sdk.CacheTenant, sdk.CachePlugin} {
			value, ok, err := host.CacheGet(ctx, scope, "user 7")
			if err != nil {
				return sdk.Outcome{}, err
			}
			seen = append(seen, fmt.Sprintf("%s %t %d", scope, ok, len(value)))
		}
		return sdk.Outcome{}, host.CachePut(ctx, sdk.CacheIntegration, "user 7", nil, 30*time.Minute)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.every = 20
		w.up()
		w.until(store.RunProcessed)
		w.processed(3)
		none := []string{"integration false 0", "tenant false 0", "plugin false 0"}
		known := []string{"integration true 0", "tenant false 0", "plugin false 0"}
		require.Equal(t, append(append(none, known...), known...), seen[:9])
		require.NoError(t, w.db.CachePut(t.Context(), store.CacheEntry{Scope: "integration:x", Key: "k", ExpiresAt: time.Now().Add(30 * time.Minute)}))
		time.Sleep(30 * time.Minute) // the bubble's clock
		_, ok, err := w.db.CacheGet(t.Context(), "integration:x", "k")
		require.NoError(t, err)
		require.False(t, ok, "for its time")
	})
}

// rows: F26
//
// What the host does not know of a record it keeps as it is, byte for byte; what
// changes its type is kept as it is now.
func TestUnknownFieldsAreKeptRaw(t *testing.T) {
	t.Parallel()
	const data = `{"new":{"deep":[1.50,1e400,12345678901234567890123,"<ü\u0000>"],"n":null},"size":"large"}`
	said := data
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, out.Record(ctx, sdk.Record{Kind: "thing", ID: "1", Data: []byte(said)})
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.every = 20
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, map[string]string{"1": data}, w.records())
		said = `{"new":7,"size":{"w":1}}`
		w.processed(2)
		require.Equal(t, map[string]string{"1": said}, w.records())
		require.Equal(t, int64(1), w.run().Stats.Updated)
	})
}

// processed lets time pass until the newest run is that one or later, and is
// processed.
func (w *world) processed(id int64) {
	w.t.Helper()
	for w.run().ID < id || w.run().State != store.RunProcessed {
		require.Less(w.t, time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), 100*time.Hour, "run %d is not processed", id)
		time.Sleep(time.Second) // the bubble's clock
	}
	synctest.Wait()
}

// mirror seals by turning over every bit.
type mirror struct{ openVault }

func (mirror) Seal(p []byte, _ ...string) ([]byte, error) { return mirrored(p), nil }
func (mirror) Open(s []byte, _ ...string) ([]byte, error) { return mirrored(s), nil }

func mirrored(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = ^b[i]
	}
	return out
}
