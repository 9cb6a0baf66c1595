package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K02, K10, C11
func testGuards(t *testing.T, setup func(*testing.T) *world) {
	full := func(j *job, s store.Stream) store.Segment {
		end := done()
		seg := j.segment(s)
		seg.Records = []store.Record{record("1", "x")}
		seg.Streams = names("child")
		seg.Warnings = []store.Warning{{Message: "w"}}
		seg.Patch, seg.Cursor, seg.Checkpoint, seg.Preprocessed = []byte("patch"), []byte("cursor"), []byte("checkpoint"), []byte("pre")
		seg.Throttles = []store.Throttle{{Plugin: plug, Key: "k", Until: j.w.clock.Now().Add(lease)}}
		seg.End = &end
		return seg
	}
	untouched := func(j *job, s store.Stream) {
		t := j.w.T
		require.Empty(t, j.w.records(j.i))
		require.Equal(t, s.Seq, j.w.stream(s.ID).Seq)
		require.Nil(t, j.w.stream(s.ID).Checkpoint)
		require.Equal(t, store.StreamProcessing, j.w.stream(s.ID).State)
		require.Equal(t, store.StreamCounts{Processing: 1}, j.reload().Streams)
		require.Zero(t, j.reload().Stats)
		require.Nil(t, j.reload().Preprocessed)
		i, err := j.w.s.IntegrationByUID(j.w.ctx(), j.i.UID)
		require.NoError(t, err)
		require.Nil(t, i.Patch)
		warnings, err := j.w.s.Warnings(j.w.ctx(), j.run.ID, 0)
		require.NoError(t, err)
		require.Empty(t, warnings)
	}

	// Each guard alone, all others being right.
	for name, spoil := range map[string]func(*store.Segment){
		"Owner":      func(s *store.Segment) { s.Lane.Owner += "x" },
		"NoOwner":    func(s *store.Segment) { s.Lane.Owner = "" },
		"Fence":      func(s *store.Segment) { s.Lane.Fence-- },
		"Lane":       func(s *store.Segment) { s.Lane.ID++ },
		"Generation": func(s *store.Segment) { s.Generation-- },
		"Claim":      func(s *store.Segment) { s.Claim-- },
		"Replay":     func(s *store.Segment) { s.Seq-- },
		"Gap":        func(s *store.Segment) { s.Seq++ },
		"Run":        func(s *store.Segment) { s.RunID++ },
		"Stream":     func(s *store.Segment) { s.StreamID += 100 },
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			j := w.plan(store.RunRequest{}, names("a")...)
			s := j.claim()
			seg := full(j, s)
			spoil(&seg)
			_, err := w.s.Apply(w.ctx(), seg)
			require.ErrorIs(t, err, store.ErrStale)
			untouched(j, s)
			a := j.apply(full(j, s)) // and with it right it is applied
			require.Equal(t, int64(1), a.Stats.Added)
		})
	}

	t.Run("AnotherIntegrationsLane", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		w.create("other")
		other := w.claimLane()
		seg := full(j, s)
		seg.Lane, seg.Generation = other.Ref(), other.Generation
		_, err := w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrStale)
		untouched(j, s)
		_, err = w.s.ClaimStreams(w.ctx(), other.Ref(), j.run.ID, 1)
		require.ErrorIs(t, err, store.ErrStale)
		_, err = w.s.BeginRun(w.ctx(), other.Ref(), j.run.ID, store.RunBegin{})
		require.ErrorIs(t, err, store.ErrStale)
	})

	t.Run("AStreamThatIsNotClaimed", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		j.finish(s, store.StreamEnd{State: store.StreamPending})
		s.Seq++
		seg := full(j, s)
		_, err := w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrStale)
		require.Empty(t, w.records(j.i))
	})

	t.Run("AnAbandonedClaimIsReplayed", func(t *testing.T) { // rows: I01, I05
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		first := j.claim()
		seg := full(j, first)
		seg.End, seg.Streams = nil, nil
		j.apply(seg)
		w.clock.add(lease)
		before := j.lane
		j.lane = w.claimLane()
		second := j.claim()
		require.Equal(t, first.ID, second.ID)
		require.Equal(t, []byte("checkpoint"), second.Checkpoint)
		late := seg
		late.Seq++ // the first holder goes on as if nothing had happened
		_, err := w.s.Apply(w.ctx(), late)
		require.ErrorIs(t, err, store.ErrStale)
		late.Lane = j.lane.Ref() // and with the new lane its claim is old
		require.NotEqual(t, before.Fence, j.lane.Fence)
		_, err = w.s.Apply(w.ctx(), late)
		require.ErrorIs(t, err, store.ErrStale)
		a := j.finish(second, done(), record("1", "x"))
		require.Equal(t, store.RunStats{Read: 1, Unchanged: 1}, a.Stats)
	})
}
