package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// idents returns the identifiers of streams.
func idents(streams []store.Stream) (out []string) {
	for _, s := range streams {
		out = append(out, s.Ident)
	}
	return out
}

// with returns the end with a claim of the next streams.
func with(end store.StreamEnd, next int) store.StreamEnd {
	end.Next = next
	return end
}

// rows: K10, K11, K12, K13, K14, C20
func testNext(t *testing.T, setup func(*testing.T) *world) {
	t.Run("TheEndOfAStreamClaimsTheNext", func(t *testing.T) {
		w := setup(t)
		j := w.begin(store.RunRequest{}, store.RunBegin{})
		seg := j.segment(j.claim())
		seg.Streams = names("a", "b", "c")
		end := with(done(), 2)
		seg.End = &end
		a := j.apply(seg)
		require.Equal(t, []string{"a", "b"}, idents(a.Next), "the plan's end has made them")
		require.False(t, a.Drained)
		for _, s := range a.Next {
			require.Equal(t, store.StreamProcessing, s.State)
			require.Equal(t, []int64{1, 0}, []int64{s.Claim, s.Seq})
			require.Equal(t, 1, s.Interrupts, "until there is an answer")
			require.Equal(t, w.stream(s.ID).UpdatedAt, s.UpdatedAt)
			require.Equal(t, fmt.Appendf(nil, "data of %s", s.Ident), s.Data)
		}
		require.Equal(t, store.StreamCounts{Pending: 1, Processing: 2}, j.reload().Streams)
		b := a.Next[1]
		a = j.finish(a.Next[0], with(done(), 5))
		require.Equal(t, []string{"c"}, idents(a.Next))
		require.True(t, a.Drained, "fewer than it asked for")
		c := a.Next[0]
		a = j.finish(b, with(failed("no"), 1))
		require.Empty(t, a.Next)
		require.True(t, a.Drained)
		a = j.finish(c, with(done(), 1))
		require.True(t, a.RunEnded)
		require.Empty(t, a.Next)
		require.Equal(t, store.RunPartial, j.reload().State)
	})

	t.Run("TheNextPageIsOne", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		seg.Cursor = []byte("here")
		end := with(store.StreamEnd{State: store.StreamPending, NextPage: []byte("2"), Answered: true}, 1)
		seg.End = &end
		a := j.apply(seg)
		require.Equal(t, []string{"a"}, idents(a.Next))
		s := a.Next[0]
		require.Equal(t, []int64{2, 1, 1}, []int64{s.Claim, s.Seq, s.Pages})
		require.Equal(t, []string{"2", "here"}, []string{string(s.Page), string(s.Cursor)}, "as this end left it")
		require.True(t, j.finish(s, done()).RunEnded)
	})

	t.Run("WhatMayNotBeClaimedIsNot", func(t *testing.T) {
		throttled := func(w *world, j *job, seg *store.Segment) {
			seg.Throttles = []store.Throttle{{Plugin: plug, Until: w.clock.Now().Add(time.Hour)}}
		}
		sleeping := func(w *world, _ *job, seg *store.Segment) { seg.End.SleepUntil = w.clock.Now().Add(time.Hour) }
		aborted := func(_ *world, _ *job, seg *store.Segment) {
			end := failed("no")
			end.AbortRun, end.Next = true, seg.End.Next
			seg.End = &end
		}
		broken := func(w *world, j *job, seg *store.Segment) {
			seg.End.State, seg.End.DueAt = store.StreamDelayed, w.clock.Now().Add(time.Minute)
			seg.Circuit = &store.CircuitChange{Move: store.CircuitOpen, Circuit: store.Circuit{
				Host: "api.example.org", OpenedAt: w.clock.Now(), Until: w.clock.Now().Add(time.Minute), Opens: 1,
			}}
		}
		overtaken := func(w *world, j *job, _ *store.Segment) {
			w.request(store.RunRequest{IntegrationID: j.i.ID, Kind: store.RunManual, Params: map[string]string{"a": "b"}, ParamsSum: "b"})
		}
		for name, change := range map[string]func(*world, *job, *store.Segment){
			"of a throttled key": throttled, "of a run that sleeps": sleeping, "of a run that ends": aborted,
			"of an open circuit": broken, "of a run that gives way": overtaken,
		} {
			t.Run(name, func(t *testing.T) {
				w := setup(t)
				j := w.plan(store.RunRequest{}, names("a", "b")...)
				seg := j.segment(j.claim())
				end := with(done(), 1)
				seg.End = &end
				change(w, j, &seg)
				a := j.apply(seg)
				require.Empty(t, a.Next)
				require.Equal(t, !a.RunEnded, a.Drained)
				waits, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: j.run.ID, State: store.StreamProcessing, System: true})
				require.NoError(t, err)
				require.Empty(t, waits)
			})
		}
	})

	t.Run("AStaleEndClaimsNothing", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		seg := j.segment(j.claim())
		end := with(done(), 1)
		seg.End = &end
		w.clock.add(lease)
		w.claimLane()
		_, err := w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrStale)
		require.Equal(t, store.StreamCounts{Pending: 2}, j.reload().Streams)
	})

	t.Run("WhoIsGoneLeavesItDue", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		a := j.finish(j.claim(), with(done(), 1))
		require.Len(t, a.Next, 1)
		j.release() // without having begun it: that costs nothing
		require.Equal(t, store.StreamPending, w.stream(a.Next[0].ID).State)
		require.Zero(t, w.stream(a.Next[0].ID).Interrupts)
		require.Zero(t, w.nextWake())
		j.lane = w.claimLane()
		require.Equal(t, int64(2), j.claim().Claim)
	})

	t.Run("ManyAtOnceClaimEachOnce", func(t *testing.T) { // rows: I01, I03, I06
		w := setup(t)
		const streams, beside = 60, 6
		all := make([]string, streams)
		for n := range all {
			all[n] = fmt.Sprintf("s%02d", n)
		}
		j := w.plan(store.RunRequest{}, names(all...)...)
		var (
			wg    sync.WaitGroup
			mu    sync.Mutex
			errs  []error
			ended int
			begun = map[string]int{}
		)
		for _, s := range j.claims(beside) {
			wg.Go(func() {
				for next := []store.Stream{s}; len(next) > 0; {
					end := with(done(), 1)
					seg := j.segment(next[0])
					seg.End = &end
					a, err := w.s.Apply(w.ctx(), seg)
					mu.Lock()
					begun[next[0].Ident]++
					if a.RunEnded {
						ended++
					}
					if err != nil {
						errs = append(errs, err)
					}
					mu.Unlock()
					next = a.Next
				}
			})
		}
		wg.Wait()
		require.Empty(t, errs)
		require.Len(t, begun, streams)
		for ident, n := range begun {
			require.Equal(t, 1, n, ident)
		}
		require.Equal(t, 1, ended)
		require.Equal(t, store.StreamCounts{Processed: streams}, j.reload().Streams)
	})
}
