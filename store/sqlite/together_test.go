package sqlite

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// together applies segments in one transaction, in their order.
func (b *bench) together(t *testing.T, segs ...store.Segment) (out []store.Applied) {
	t.Helper()
	out = make([]store.Applied, len(segs))
	errs := make(chan error, len(segs)+1)
	held, release := make(chan struct{}), make(chan struct{})
	go func() {
		errs <- b.db.update(context.WithoutCancel(t.Context()), func(context.Context, *tx) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	for n, seg := range segs {
		go func() {
			var err error
			out[n], err = b.db.Apply(context.WithoutCancel(t.Context()), seg)
			errs <- err
		}()
		require.Eventually(t, func() bool { return len(b.db.write.queue) == n+1 }, time.Minute, time.Millisecond)
	}
	close(release)
	for range len(segs) + 1 {
		require.NoError(t, <-errs)
	}
	return out
}

// rows: K02, K10, K12
//
// What the database says of an integration is not what it is while another of its
// runs waits to be written: nothing is claimed with an end then, and the lane is not
// given back with it. Whoever asks for it by itself gets it.
func TestAnEndBesideAnotherRunOfTheIntegration(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1e12)
	var commits atomic.Int64
	b := newBench(t, Options{Now: func() time.Time { return now }, OnCommit: func(time.Duration, int) { commits.Add(1) }}, 2)
	// The first run sleeps while a stream of it is still worked on.
	end, other := b.segment(0), b.segment(1)
	end.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true, SleepUntil: now.Add(time.Hour)}
	a, err := b.db.Apply(t.Context(), end)
	require.NoError(t, err)
	require.Equal(t, store.RunDelayed, a.Run)
	run, _, err := b.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: b.run.IntegrationID, Kind: store.RunManual, Params: map[string]string{"a": "b"}, ParamsSum: "b"})
	require.NoError(t, err)
	b.run, err = b.db.BeginRun(t.Context(), b.lane.Ref(), run.ID, store.RunBegin{})
	require.NoError(t, err)
	b.claim(t, 1)
	plan := b.segment(0)
	plan.Streams = []store.NewStream{{Ident: "a", Connector: "commits"}, {Ident: "b", Connector: "commits"}}
	plan.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true, Next: 1}
	a, err = b.db.Apply(t.Context(), plan)
	require.NoError(t, err)
	require.Len(t, a.Next, 1, "the other run is written")

	beside := func(e store.StreamEnd) store.Applied {
		seg := b.segment(0)
		seg.End = &e
		before := commits.Load()
		out := b.together(t, other, seg)
		require.Equal(t, before+1, commits.Load())
		other.Seq = out[0].Seq
		require.True(t, out[1].Done)
		return out[1]
	}
	b.streams = a.Next
	a = beside(store.StreamEnd{State: store.StreamProcessed, Answered: true, Next: 1})
	require.Empty(t, a.Next)
	require.False(t, a.Drained, "nobody has looked")
	b.claim(t, 1)
	a = beside(store.StreamEnd{State: store.StreamProcessed, Answered: true, Release: &b.lane})
	require.True(t, a.RunEnded)
	require.False(t, a.Released)
	require.NoError(t, b.db.ReleaseLane(t.Context(), b.lane))
}

// rows: K02
//
// The row of a run is written once in the transaction that ends it.
func TestTheEndOfARunIsWrittenOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  store.StreamEnd
		ends bool
	}{
		"of its last stream": {store.StreamEnd{State: store.StreamProcessed}, true},
		"that claims":        {store.StreamEnd{State: store.StreamProcessed, Next: 1}, true},
		"in error":           {store.StreamEnd{State: store.StreamError, Failure: &store.Failure{Code: "no"}}, true},
		"of a run cut short": {store.StreamEnd{State: store.StreamError, Failure: &store.Failure{Code: "no"}, AbortRun: true}, true},
		"of a page":          {store.StreamEnd{State: store.StreamPending, NextPage: []byte("2")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{}, 1)
			require.NoError(t, b.exec(t, "CREATE TABLE saved (run_id INTEGER)"))
			require.NoError(t, b.exec(t, "CREATE TRIGGER saves AFTER UPDATE ON runs BEGIN INSERT INTO saved VALUES (new.id); END"))
			seg := b.segment(0)
			seg.Records = records(0, 1)
			seg.End = &c.end
			seg.End.Answered = true
			a, err := b.db.Apply(t.Context(), seg)
			require.NoError(t, err)
			require.Equal(t, c.ends, a.RunEnded)
			var n int
			require.NoError(t, b.db.get(t.Context(), "SELECT count(*) FROM saved", nil, func(s scanner) error { return s.Scan(&n) }))
			require.Equal(t, 1, n)
		})
	}
}
