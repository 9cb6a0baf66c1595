package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K03, O27
func testPositions(t *testing.T, setup func(*testing.T) *world) {
	// sync runs a whole run over two partitions of commits and one of members and
	// returns what the streams got.
	sync := func(j *job, cursor string, end func(ident string) store.StreamEnd) map[string]store.Stream {
		streams := append(names("a", "b"), store.NewStream{Ident: "m", Connector: "members", Partition: "m"})
		j.plan(streams...)
		got := make(map[string]store.Stream)
		for _, s := range j.claims(5) {
			got[s.Ident] = s
			seg := j.segment(s)
			seg.Cursor = []byte(cursor + s.Ident)
			e := end(s.Ident)
			seg.End = &e
			j.apply(seg)
		}
		j.release()
		return got
	}
	well := func(string) store.StreamEnd { return done() }
	// next begins another run of the job's integration.
	next := func(j *job, req store.RunRequest) *job {
		req.IntegrationID = j.i.ID
		return j.w.beginOf(j.i, req, store.RunBegin{})
	}

	t.Run("CursorsAreOfPartitionsAndMoveWithTheSegment", func(t *testing.T) {
		w := setup(t)
		first := w.begin(store.RunRequest{}, store.RunBegin{})
		got := sync(first, "1", well)
		require.Nil(t, got["a"].Cursor)
		second := next(first, store.RunRequest{})
		got = sync(second, "2", well)
		require.Equal(t, []byte("1a"), got["a"].Cursor)
		require.Equal(t, []byte("1b"), got["b"].Cursor)
		require.Equal(t, []byte("1m"), got["m"].Cursor)
	})

	t.Run("ACursorMovesBeforeTheEndOfTheCall", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		seg.Cursor, seg.Checkpoint = []byte("half way"), []byte("1")
		j.apply(seg)
		w.clock.add(lease) // and its holder is not heard of any more
		j.lane = w.claimLane()
		require.Equal(t, []byte("half way"), j.claim().Cursor)
	})

	t.Run("WatermarkIsTheStartOfARunThatWentWell", func(t *testing.T) {
		w := setup(t)
		first := w.begin(store.RunRequest{Kind: store.RunOnboarding}, store.RunBegin{})
		start := w.clock.Now()
		w.clock.add(time.Second)
		require.Zero(t, sync(first, "1", well)["a"].Watermarks["commits"])
		i, err := w.s.IntegrationByUID(w.ctx(), first.i.UID)
		require.NoError(t, err)
		require.Equal(t, w.clock.Now(), i.OnboardedAt)

		w.clock.add(time.Second)
		second := next(first, store.RunRequest{})
		later := w.clock.Now()
		w.clock.add(time.Second)
		got := sync(second, "2", func(ident string) store.StreamEnd {
			if ident == "b" {
				return failed("no")
			}
			return done()
		})
		require.Equal(t, start, got["a"].Watermarks["commits"])
		require.Equal(t, store.RunPartial, second.reload().State)
		third := next(first, store.RunRequest{})
		got = sync(third, "3", well)
		require.Equal(t, start, got["a"].Watermarks["commits"]) // one of its streams had failed
		require.Equal(t, later, got["m"].Watermarks["members"])
		require.Equal(t, got["m"].Watermarks, got["a"].Watermarks) // a call sees all of them
	})

	t.Run("AWatermarkOfAClockThatWasAheadDoesNotCount", func(t *testing.T) { // rows: K03, K09, F16
		const years = 10 * 365 * 24 * time.Hour
		w := setup(t)
		w.clock.add(years)
		first := w.begin(store.RunRequest{}, store.RunBegin{})
		sync(first, "1", well)
		w.clock.add(time.Minute - years)
		second := next(first, store.RunRequest{})
		start := w.clock.Now()
		require.Empty(t, sync(second, "2", well)["a"].Watermarks, "what changed meanwhile would never be asked for")
		third := next(first, store.RunRequest{})
		require.Equal(t, start, sync(third, "3", well)["a"].Watermarks["commits"])
	})

	for name, req := range map[string]store.RunRequest{
		"manual":     {Kind: store.RunManual},
		"parameters": {Kind: store.RunCheck, ParamsSum: "p", Params: map[string]string{"a": "b"}},
	} {
		t.Run("NoWatermarkBy-"+name, func(t *testing.T) {
			w := setup(t)
			first := w.begin(req, store.RunBegin{})
			sync(first, "1", well)
			require.Equal(t, store.RunProcessed, first.reload().State)
			require.Zero(t, sync(next(first, store.RunRequest{}), "2", well)["a"].Watermarks["commits"])
		})
	}

	t.Run("NoWatermarkByAFailedOrCancelledRun", func(t *testing.T) {
		w := setup(t)
		first := w.begin(store.RunRequest{}, store.RunBegin{})
		sync(first, "1", func(string) store.StreamEnd { return failed("no") })
		second := next(first, store.RunRequest{})
		_, err := w.s.CancelRun(w.ctx(), second.run.ID, "")
		require.NoError(t, err)
		got := sync(next(first, store.RunRequest{}), "2", well)
		require.Zero(t, got["a"].Watermarks["commits"])
		i, err := w.s.IntegrationByUID(w.ctx(), first.i.UID)
		require.NoError(t, err)
		require.Zero(t, i.OnboardedAt)
	})

	t.Run("NoWatermarkOfAConnectorWithoutStreamsByAFailedRun", func(t *testing.T) {
		w := setup(t)
		first := w.begin(store.RunRequest{}, store.RunBegin{})
		first.plan(names("a")...)
		first.finish(first.claim(), failed("no"))
		require.Equal(t, store.RunError, first.reload().State)
		first.release()
		second := next(first, store.RunRequest{})
		second.plan(names("a")...)
		require.Empty(t, second.claim().Watermarks, "members had nothing to do, in a run that failed")
	})

	t.Run("CursorsAreOfOneIntegration", func(t *testing.T) { // rows: O07
		w := setup(t)
		first := w.begin(store.RunRequest{Kind: store.RunOnboarding}, store.RunBegin{})
		sync(first, "1", well)
		off := w.spec(first.i.Name)
		off.Enabled = false
		w.change(store.Change{Op: store.ChangeUpdate, UID: first.i.UID, Spec: off}) // so that the other one is what is due
		got := sync(w.beginOf(w.create("other"), store.RunRequest{}, store.RunBegin{}), "2", well)
		require.Nil(t, got["a"].Cursor, "its settings may be those of another account")
		require.Empty(t, got["a"].Watermarks)
	})

	t.Run("AForcedRunReplacesCursorsOnlyOnSuccess", func(t *testing.T) { // rows: K03, O18
		w := setup(t)
		first := w.begin(store.RunRequest{}, store.RunBegin{})
		sync(first, "1", well)
		failing := next(first, store.RunRequest{Force: true})
		got := sync(failing, "2", func(ident string) store.StreamEnd {
			if ident == "b" {
				return failed("no")
			}
			return done()
		})
		require.Nil(t, got["a"].Cursor) // it starts from the beginning
		third := next(first, store.RunRequest{})
		require.Equal(t, []byte("1a"), sync(third, "3", well)["a"].Cursor)
		forced := next(first, store.RunRequest{Force: true})
		sync(forced, "4", well)
		got = sync(next(first, store.RunRequest{}), "5", well)
		require.Equal(t, []byte("4a"), got["a"].Cursor)
		require.Equal(t, []byte("4m"), got["m"].Cursor)
	})

	t.Run("ACallOfTheRunHasNoStreams", func(t *testing.T) {
		w := setup(t)
		j := w.begin(store.RunRequest{}, store.RunBegin{Preprocess: true})
		seg := j.segment(j.claim())
		seg.Streams = names("a")
		_, err := w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrInvalid)
	})

	t.Run("ACallOfTheRunHasNoCursor", func(t *testing.T) {
		w := setup(t)
		j := w.begin(store.RunRequest{}, store.RunBegin{})
		seg := j.segment(j.claim())
		seg.Cursor = []byte("x")
		_, err := w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrInvalid)
	})
}
