package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/jackfield/jackfield/store"
)

// bench is a store with one integration and a run whose streams are claimed.
type bench struct {
	db      *DB
	lane    store.Lane
	run     store.Run
	streams []store.Stream
}

// newBench plans a run of n streams and claims the first ones.
func newBench(tb testing.TB, opts Options, n int) *bench {
	tb.Helper()
	b := &bench{db: openTemp(tb, opts)}
	b.next(tb, "history", n)
	return b
}

// next creates another integration and plans a run of it.
func (b *bench) next(tb testing.TB, name string, n int) {
	tb.Helper()
	ctx := tb.Context()
	require.NoError(tb, b.db.ApplyChanges(ctx, []store.Change{{
		Op: store.ChangeCreate, UID: name, Sync: true,
		Spec: store.IntegrationSpec{Tenant: "acme", Name: name, Plugin: "git", Connectors: []string{"commits"}, Every: 20, Enabled: true},
	}}))
	i, err := b.db.IntegrationByUID(ctx, name)
	require.NoError(tb, err)
	run, _, err := b.db.RequestRun(ctx, store.RunRequest{IntegrationID: i.ID, Kind: store.RunOnboarding})
	require.NoError(tb, err)
	lanes, err := b.db.ClaimLanes(ctx, store.LaneClaim{Plugins: []string{"git"}, Limit: 1, Lease: time.Hour})
	require.NoError(tb, err)
	require.Len(tb, lanes, 1)
	b.lane = lanes[0]
	b.run, err = b.db.BeginRun(ctx, b.lane.Ref(), run.ID, store.RunBegin{})
	require.NoError(tb, err)
	b.claim(tb, 1)
	seg := b.segment(0)
	for left := n; left > 0; {
		seg.Streams = nil
		for range min(left, store.MaxStreamsPerResult) {
			seg.Streams = append(seg.Streams, store.NewStream{Ident: fmt.Sprint(left), Connector: "commits"})
			left--
		}
		if left == 0 {
			seg.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true}
		}
		_, err = b.db.Apply(ctx, seg)
		require.NoError(tb, err)
		seg.Seq++
	}
	b.claim(tb, min(n, 64))
}

func (b *bench) claim(tb testing.TB, n int) {
	tb.Helper()
	var err error
	b.streams, err = b.db.ClaimStreams(tb.Context(), b.lane.Ref(), b.run.ID, n)
	require.NoError(tb, err)
	require.Len(tb, b.streams, n)
}

// segment returns an empty segment for the claimed stream n.
func (b *bench) segment(n int) store.Segment {
	s := b.streams[n]
	return store.Segment{
		Lane: b.lane.Ref(), Generation: b.lane.Generation, RunID: b.run.ID, StreamID: s.ID, Claim: s.Claim, Seq: s.Seq,
	}
}

// records returns n records of 300 bytes each, from the number on.
func records(from, n int) []store.Record {
	out := make([]store.Record, n)
	pad := strings.Repeat("x", 276)
	for i := range out {
		out[i] = store.Record{
			Kind: "activity", ExternalID: fmt.Sprintf("commit-%012d", from+i), OccurredAt: time.UnixMilli(int64(1e12 + from + i)),
			Data: fmt.Appendf(nil, `{"n":%d,"text":"%s"}`, from+i, pad),
		}
	}
	return out
}

// rows: K15, F09
func TestAFullDiskRollsBackAndGoesOn(t *testing.T) {
	t.Parallel()
	told := make(chan bool, 10)
	b := newBench(t, Options{OnFull: func(full bool) { told <- full }}, 4)
	limit := func(pages int) {
		require.NoError(t, b.db.always(t.Context(), func(ctx context.Context, tx *tx) error {
			var n int
			return tx.get(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages), nil, &n)
		}))
	}
	var pages int
	require.NoError(t, b.db.update(t.Context(), func(ctx context.Context, tx *tx) error {
		return tx.get(ctx, "PRAGMA page_count", nil, &pages)
	}))
	limit(pages + 2)
	there := make(chan error)
	b.db.room.try = func() error { // nobody has asked it yet
		select {
		case err := <-there:
			return err
		case <-b.db.quit:
			return store.ErrClosed
		}
	}
	var (
		wg   sync.WaitGroup
		errs = make([]error, 4)
	)
	for n := range errs {
		wg.Go(func() {
			seg := b.segment(n)
			seg.Records = records(1000*n, 500)
			_, errs[n] = b.db.Apply(t.Context(), seg)
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.ErrorIs(t, err, store.ErrFull)
		require.ErrorContains(t, err, "hint: make room")
		require.NotErrorIs(t, err, store.ErrRejected)
	}
	require.True(t, <-told)
	st, err := b.db.Status(t.Context())
	require.NoError(t, err)
	require.Zero(t, st.Records)
	require.True(t, st.Full)
	require.NoError(t, b.db.Err())

	// Nothing new is begun, and what is under way is kept.
	_, err = b.db.ClaimStreams(t.Context(), b.lane.Ref(), b.run.ID, 1)
	require.ErrorIs(t, err, store.ErrFull)
	_, _, err = b.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: b.lane.IntegrationID, Kind: store.RunManual})
	require.ErrorIs(t, err, store.ErrFull)
	require.ErrorContains(t, err, "hint: make room where "+b.db.Path())
	held, err := b.db.RenewLanes(t.Context(), []store.LaneRef{b.lane.Ref()}, time.Hour)
	require.NoError(t, err)
	require.Len(t, held, 1)

	there <- store.ErrFull // still
	limit(1_000_000)
	there <- nil
	require.False(t, <-told)
	_, err = b.db.ClaimStreams(t.Context(), b.lane.Ref(), b.run.ID, 1)
	require.NoError(t, err)
	for n := range errs {
		seg := b.segment(n) // with the seq it had
		seg.Records = records(1000*n, 500)
		a, err := b.db.Apply(t.Context(), seg)
		require.NoError(t, err)
		require.Equal(t, int64(500), a.Stats.Added)
	}
}

// rows: K15, F10
func TestACommitThatFailedIsDecidedByLooking(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk I/O error")
	for name, c := range map[string]struct {
		happened bool
		mark     bool
		want     error
	}{
		"it had happened":     {true, true, nil},
		"it had not happened": {false, true, broken},
		"nobody can tell":     {true, false, store.ErrOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{}, 2)
			w := b.db.write
			commit := w.commit
			// The writer is idle and reads the field in its next transaction, which
			// it gets from this goroutine.
			w.commit = func(ctx context.Context) error {
				w.commit = commit
				if c.happened {
					if err := commit(ctx); err != nil {
						return err
					}
				}
				return broken
			}
			if !c.mark {
				_, err := b.db.CommitCredential(t.Context(), b.lane.IntegrationID, "token", 0, []byte("sealed"), time.Time{})
				require.ErrorIs(t, err, c.want)
				<-b.db.Failed()
				require.ErrorIs(t, b.db.Err(), store.ErrOutcomeUnknown)
				_, err = b.db.Apply(t.Context(), b.segment(0))
				require.ErrorIs(t, err, store.ErrOutcomeUnknown)
				// The next start looks.
				require.NoError(t, b.db.Close())
				db := openTemp(t, Options{Path: b.db.Path()})
				_, err = db.Credential(t.Context(), b.lane.IntegrationID, "token")
				require.NoError(t, err)
				return
			}
			seg := b.segment(0)
			seg.Records = records(0, 10)
			a, err := b.db.Apply(t.Context(), seg)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				a, err = b.db.Apply(t.Context(), seg) // and can be tried again
			}
			require.NoError(t, err)
			require.Equal(t, int64(10), a.Stats.Added)
			seg.Seq = a.Seq
			a, err = b.db.Apply(t.Context(), seg)
			require.NoError(t, err)
			require.Equal(t, int64(10), a.Stats.Unchanged)
			require.NoError(t, b.db.Err())
		})
	}
}

// rows: K09, F01, I05
func TestANewEpochFreesWhatWasHeld(t *testing.T) {
	t.Parallel()
	now := standing()
	b := newBench(t, Options{Now: now}, 3)
	seg := b.segment(0)
	seg.Records, seg.Checkpoint = records(0, 10), []byte("ten")
	a, err := b.db.Apply(t.Context(), seg)
	require.NoError(t, err)
	require.NoError(t, b.db.Close())

	b.db = openTemp(t, Options{Path: b.db.Path(), Now: now})
	st, err := b.db.Status(t.Context())
	require.NoError(t, err)
	require.Zero(t, st.LanesHeld)
	run, err := b.db.Run(t.Context(), b.run.ID)
	require.NoError(t, err)
	require.Equal(t, store.StreamCounts{Pending: 3}, run.Streams)
	seg.Seq = a.Seq
	_, err = b.db.Apply(t.Context(), seg) // by the old holder, had it lived
	require.ErrorIs(t, err, store.ErrStale)

	lanes, err := b.db.ClaimLanes(t.Context(), store.LaneClaim{Plugins: []string{"git"}, Limit: 1, Lease: time.Minute})
	require.NoError(t, err)
	require.Len(t, lanes, 1) // although its lease has an hour to go
	b.lane = lanes[0]
	b.claim(t, 3)
	for _, s := range b.streams {
		want := 2
		if s.ID == seg.StreamID {
			require.Equal(t, []byte("ten"), s.Checkpoint)
			want = 1 // it had made progress
		}
		require.Equal(t, want, s.Interrupts)
	}
	// The feed goes on behind what there was.
	seg = b.segment(0)
	seg.Records = records(100, 1)
	a, err = b.db.Apply(t.Context(), seg)
	require.NoError(t, err)
	all, err := b.db.Records(t.Context(), store.RecordFilter{})
	require.NoError(t, err)
	require.Len(t, all, 11)
	require.Equal(t, "commit-000000000100", all[10].ExternalID)
	require.Equal(t, a.Position, all[10].Position)
}

// rows: K05
func TestAnUnchangedSyncWritesNoPageForRecords(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it counts pages of forty thousand records, which no race changes")
	}
	b := newBench(t, Options{}, 2)
	segs := []store.Segment{b.segment(0), b.segment(1)}
	apply := func(n int, records []store.Record) (pages int64, stats store.RunStats) {
		segs[n].Records = records
		b.db.write.frames.Store(0)
		a, err := b.db.Apply(t.Context(), segs[n])
		require.NoError(t, err)
		segs[n].Seq = a.Seq
		return b.db.write.frames.Load(), a.Stats
	}
	const n = 10_000
	imported, stats := apply(0, records(0, n))
	require.Equal(t, int64(n), stats.Added)
	require.Greater(t, imported, int64(700))
	apply(0, records(0, n)) // the counters in the rows have now the size that they will have
	empty, _ := apply(0, nil)
	unchanged, stats := apply(0, records(0, n))
	require.Equal(t, int64(n), stats.Unchanged)
	require.Equal(t, empty, unchanged)

	old := records(0, n) // neither does one that is out of date
	for i := range old {
		old[i].Version = []byte("2")
	}
	_, stats = apply(1, old)
	require.Equal(t, int64(n), stats.Updated)
	for i := range old {
		old[i].Version, old[i].Data = []byte("1"), []byte(`{"old":true}`)
	}
	apply(1, old)
	empty, _ = apply(1, nil)
	outdated, stats := apply(1, old)
	require.Equal(t, int64(n), stats.Stale)
	require.Less(t, outdated, empty+100) // a few of the index, none of the records
}

// rows: F12
func TestTheLogIsWrittenBack(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a hundred megabytes take a minute under the race detector")
	}
	b := newBench(t, Options{NoSync: true}, 1)
	seg := b.segment(0)
	const limit = 12 * checkpointFrames * 4096
	for n := range 100 { // some 100 MB
		seg.Records = records(n*3000, 3000)
		a, err := b.db.Apply(t.Context(), seg)
		require.NoError(t, err)
		seg.Seq = a.Seq
		st, err := b.db.Status(t.Context())
		require.NoError(t, err)
		require.Less(t, st.WALBytes, int64(limit))
	}
	require.Eventually(t, func() bool {
		st, err := b.db.Status(t.Context())
		return err == nil && st.DatabaseBytes > 100<<20
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, b.db.Close())
	st, err := fileSize(b.db.Path() + "/" + databaseName + "-wal")
	require.NoError(t, err)
	require.Zero(t, st)
}

// rows: F12
func TestAnIdleWriterGivesItsMemoryBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{NoSync: true}, 1)
	used := func() (bytes int) {
		require.NoError(t, b.db.update(t.Context(), func(_ context.Context, tx *tx) error {
			return tx.conn.Raw(func(c any) (err error) {
				bytes, _, err = c.(sqlite.DBStatus).Status(sqlite.DBStatusCacheUsed, false)
				return err
			})
		}))
		return bytes
	}
	seg := b.segment(0)
	seg.Records = records(0, 9000)
	_, err := b.db.Apply(t.Context(), seg)
	require.NoError(t, err)
	full := used()
	require.Greater(t, full, 1<<20)
	// Each look is a write that keeps the writer awake, so they are far apart.
	require.Eventually(t, func() bool { return used() < full/10 }, 10*quietAfter, quietAfter*3/2)
}
