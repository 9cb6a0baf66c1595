package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K08, K11, C18, C19, C27, C46
func testStreams(t *testing.T, setup func(*testing.T) *world) {
	t.Run("ChildrenKnowTheirParent", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("root")...)
		root := j.claim()
		require.Zero(t, root.ParentID)
		seg := j.segment(root)
		seg.Streams = append(names("child", "root"), store.NewStream{Ident: "child", Connector: "members", Data: []byte("data of child")})
		again := slices.Clone(seg.Streams[:2]) // what is there stays as it is (C18)
		for i := range again {
			again[i].Data, again[i].LimitKey = []byte("other data"), "other"
		}
		seg.Streams = append(seg.Streams, again...)
		end := done()
		seg.End = &end
		a := j.apply(seg)
		require.Equal(t, 2, a.Streams) // root is there, and child of another connector is another
		require.False(t, a.RunEnded)
		for _, s := range j.claims(5) {
			require.Equal(t, store.StreamChild, s.Type)
			require.Equal(t, root.ID, s.ParentID)
			require.Equal(t, "child", s.Ident)
			require.Equal(t, []byte("data of child"), s.Data)
			require.NotEqual(t, "other", s.LimitKey)
			a = j.finish(s, done())
		}
		require.True(t, a.RunEnded)
		require.Equal(t, store.StreamCounts{Processed: 3}, j.reload().Streams)
		require.Equal(t, []byte("data of root"), w.stream(root.ID).Data)
	})

	t.Run("APartitionHasOneOwner", func(t *testing.T) { // rows: K03
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		seg.Streams = []store.NewStream{{Ident: "other", Connector: "commits", Partition: "a"}}
		_, err := w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrRejected)
		seg.Streams = names("a") // the same once more is no harm
		require.Zero(t, j.apply(seg).Streams)
	})

	t.Run("TheLongestWaitFirst", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b", "c")...)
		w.clock.add(time.Second)
		s := j.claim()
		require.Equal(t, "a", s.Ident)
		require.Equal(t, []byte("data of a"), s.Data)
		j.finish(s, store.StreamEnd{State: store.StreamPending, NextPage: []byte("2"), Answered: true})
		var order []string
		for _, s := range j.claims(5) {
			order = append(order, s.Ident)
		}
		require.Equal(t, []string{"b", "c", "a"}, order)
		require.Empty(t, j.claims(5))
	})

	t.Run("TenThousandPagesAreOneRow", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		pages := 10_000
		if testing.Short() { // and under the race detector
			pages = 300
		}
		var s store.Stream
		for n := range pages {
			s = j.claim()
			require.Equal(t, int64(n), s.Pages)
			require.Equal(t, int64(n), s.Seq)
			require.Equal(t, []byte("data of a"), s.Data) // the parent's
			end := store.StreamEnd{State: store.StreamPending, NextPage: fmt.Appendf(nil, "page %d", n+1), Answered: true}
			if n == pages-1 {
				end = done()
			}
			if n > 0 {
				require.Equal(t, fmt.Appendf(nil, "page %d", n), s.Page)
			}
			j.finish(s, end)
		}
		all, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: j.run.ID})
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, int64(pages), all[0].Pages)
		require.Equal(t, store.RunProcessed, j.reload().State)
	})

	t.Run("ARepeatedPageIsALoop", func(t *testing.T) { // rows: F24
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		turn := func(page string) (store.Applied, error) {
			seg := j.segment(j.claim())
			seg.Records = []store.Record{record(page, page)}
			seg.End = &store.StreamEnd{State: store.StreamPending, NextPage: []byte(page), Answered: true}
			return w.s.Apply(w.ctx(), seg)
		}
		for n := range store.PageHistory + 2 {
			_, err := turn(fmt.Sprint(n))
			require.NoError(t, err)
		}
		_, err := turn("0") // long forgotten
		require.NoError(t, err)
		stored := len(w.records(j.i))
		held := j.claim()
		for _, n := range []int{store.PageHistory, 3} { // 3 is the oldest that is known
			seg := j.segment(held)
			seg.Records = []store.Record{record("again", "again")}
			seg.End = &store.StreamEnd{State: store.StreamPending, NextPage: []byte(fmt.Sprint(n)), Answered: true}
			_, err = w.s.Apply(w.ctx(), seg)
			require.ErrorIs(t, err, store.ErrPageLoop, "page %d", n)
		}
		require.Len(t, w.records(j.i), stored)
		s, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: j.run.ID})
		require.NoError(t, err)
		require.Equal(t, store.StreamProcessing, s[0].State) // for the caller to end
		require.True(t, j.finish(s[0], failed("page_loop")).RunEnded)
	})

	t.Run("AttemptsCountFailuresSinceTheLastProgress", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		fail := store.StreamEnd{
			State: store.StreamDelayed, Answered: true, Attempt: true, Failure: &store.Failure{Message: "timeout", Attempt: 1},
		}
		j.finish(j.claim(), fail)
		fail.DueAt = w.clock.Now().Add(time.Minute)
		s := j.claim()
		require.Equal(t, 1, s.Attempts)
		j.finish(s, fail)
		require.Empty(t, j.claims(1))
		require.Equal(t, store.StreamDelayed, w.stream(s.ID).State)
		require.Equal(t, "timeout", w.stream(s.ID).Failure.Message)
		w.clock.add(time.Minute)

		s = j.claim()
		require.Equal(t, 2, s.Attempts)
		limited := store.StreamEnd{State: store.StreamDelayed, Answered: true} // a rate limit costs none
		j.finish(s, limited)
		s = j.claim()
		require.Equal(t, 2, s.Attempts)
		seg := j.segment(s)
		seg.Checkpoint = []byte("progress")
		j.apply(seg)
		require.Zero(t, w.stream(s.ID).Attempts)
		seg.Seq++
		seg.End = &fail
		j.apply(seg)
		require.Equal(t, 1, w.stream(s.ID).Attempts)
		require.Equal(t, []byte("progress"), w.stream(s.ID).Checkpoint)

		w.clock.add(time.Minute)
		j.finish(j.claim(), store.StreamEnd{State: store.StreamPending}) // and the plugin died
		s = j.claim()
		require.Equal(t, []int{1, 2}, []int{s.Attempts, s.Interrupts})
		j.finish(s, store.StreamEnd{State: store.StreamPending, NextPage: []byte("2"), Answered: true}) // so does a page
		require.Equal(t, []int{0, 0}, []int{w.stream(s.ID).Attempts, w.stream(s.ID).Interrupts})
		require.Nil(t, w.stream(s.ID).Failure)
	})

	t.Run("WhatIsSentAgainIsNoProgress", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		fail := store.StreamEnd{State: store.StreamDelayed, Answered: true, Attempt: true, Failure: &store.Failure{Message: "no"}}
		for n := range 3 {
			s := j.claim()
			require.Equal(t, n, s.Attempts)
			seg := j.segment(s)
			seg.Checkpoint, seg.Replays = []byte("1"), n > 0
			j.apply(seg)
			end := fail
			if n == 0 { // the later ones leave it
				end.Began = []byte("there")
			} else {
				require.Equal(t, []byte("there"), s.Began)
			}
			seg.Seq++
			seg.Replays, seg.End = false, &end
			j.apply(seg)
		}
		s := j.claim()
		require.Equal(t, 3, s.Attempts)
		j.apply(j.segment(s))
		require.Zero(t, w.stream(s.ID).Attempts, "and this was none")
		seg := j.segment(w.stream(s.ID))
		seg.End = &store.StreamEnd{State: store.StreamPending, NextPage: []byte("2"), Answered: true}
		j.apply(seg)
		require.Nil(t, j.claim().Began, "the next page begins elsewhere")
	})

	t.Run("InterruptsCountClaimsWithoutAnAnswer", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		require.Equal(t, 1, s.Interrupts)
		j.finish(s, store.StreamEnd{State: store.StreamPending}) // the plugin died
		s = j.claim()
		require.Equal(t, 2, s.Interrupts)
		j.finish(s, store.StreamEnd{State: store.StreamPending, Answered: true}) // an orderly stop
		s = j.claim()
		require.Equal(t, 2, s.Interrupts)
		require.Zero(t, s.Attempts)
		j.apply(j.segment(s)) // progress
		require.Zero(t, w.stream(s.ID).Interrupts)
	})

	t.Run("RetryReopensTheRun", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		s := j.claim()
		j.finish(s, failed("no"))
		j.finish(j.claim(), done())
		require.Equal(t, store.RunPartial, j.reload().State)
		j.release()
		got, err := w.s.RetryStream(w.ctx(), s.ID)
		require.NoError(t, err)
		require.Equal(t, store.StreamPending, got.State)
		require.Zero(t, got.Attempts)
		require.Equal(t, store.RunPending, j.reload().State)
		require.Equal(t, store.StreamCounts{Pending: 1, Processed: 1}, j.reload().Streams)
		_, err = w.s.RetryStream(w.ctx(), s.ID)
		require.ErrorIs(t, err, store.ErrConflict)
		j.lane = w.claimLane()
		_, err = w.s.BeginRun(w.ctx(), j.lane.Ref(), j.run.ID, store.RunBegin{})
		require.NoError(t, err)
		require.Equal(t, store.RunProcessed, j.finish(j.claim(), done()).Run)
	})

	t.Run("SkipMayEndTheRun", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b", "c")...)
		a := j.claim()
		_, err := w.s.SkipStream(w.ctx(), a.ID, "busy")
		require.ErrorIs(t, err, store.ErrConflict)
		j.finish(a, done())
		b := j.claim()
		j.finish(b, failed("no"))
		require.Equal(t, store.RunProcessing, j.reload().State)
		skipped, err := w.s.SkipStream(w.ctx(), b.ID, "not ours")
		require.NoError(t, err)
		require.Equal(t, store.StreamCancelled, skipped.State)
		require.Equal(t, "not ours", skipped.Failure.Message)
		c := j.claim()
		j.finish(c, store.StreamEnd{State: store.StreamDelayed, DueAt: w.clock.Now().Add(time.Hour)})
		_, err = w.s.SkipStream(w.ctx(), c.ID, "nor that")
		require.NoError(t, err)
		require.Equal(t, store.RunProcessed, j.reload().State)
		require.Equal(t, store.StreamCounts{Processed: 1, Cancelled: 2}, j.reload().Streams)
	})

	t.Run("SkippedIsNotContinued", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		a := j.claim()
		j.finish(a, failed("no"))
		b := j.claim()
		j.finish(b, failed("no"))
		_, err := w.s.SkipStream(w.ctx(), a.ID, "given up")
		require.NoError(t, err)
		require.Equal(t, store.RunError, j.reload().State)
		r, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.Equal(t, store.StreamCounts{Pending: 1, Cancelled: 1}, r.Streams)
		// Nothing is left once that one is skipped too; the run ends when it begins.
		_, err = w.s.SkipStream(w.ctx(), b.ID, "given up")
		require.NoError(t, err)
		require.Equal(t, store.RunPending, j.reload().State)
		r, err = w.s.BeginRun(w.ctx(), j.lane.Ref(), j.run.ID, store.RunBegin{})
		require.NoError(t, err)
		require.Equal(t, store.RunProcessed, r.State)
	})
}
