package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// purge removes all that is kept longer than r says.
func (w *world) purge(r store.Retention) {
	w.Helper()
	for more := true; more; {
		var err error
		more, err = w.s.Purge(w.ctx(), r)
		require.NoError(w, err)
	}
}

const day = 24 * time.Hour

// rows: C43, K08, F24
func testRetention(t *testing.T, setup func(*testing.T) *world) {
	// some begins and ends a run of n streams.
	some := func(w *world, i store.Integration, n int) *job {
		w.Helper()
		var idents []string
		for k := range n {
			idents = append(idents, fmt.Sprint(k))
		}
		j := w.beginOf(i, store.RunRequest{}, store.RunBegin{})
		j.plan(names(idents...)...)
		for _, s := range j.claims(n) {
			seg := j.segment(s)
			seg.Warnings = []store.Warning{{RecordID: "x", Message: "skipped"}}
			end := done()
			seg.End = &end
			j.apply(seg)
		}
		j.release()
		return j
	}

	t.Run("ARunLeavesWhole", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		old := some(w, i, 700)
		w.clock.add(60 * day)
		young := some(w, i, 3)
		w.clock.add(31 * day)
		open := w.beginOf(i, store.RunRequest{}, store.RunBegin{})
		w.purge(store.Retention{Runs: 92 * day})
		require.Equal(t, store.StreamCounts{Processed: 700}, old.reload().Streams)
		more, err := w.s.Purge(w.ctx(), store.Retention{Runs: 90 * day})
		require.NoError(t, err)
		require.True(t, more, "not all at once")
		_, err = w.s.Run(w.ctx(), old.run.ID)
		require.ErrorIs(t, err, store.ErrNotFound, "nobody sees a run that is half gone")
		w.purge(store.Retention{Runs: 90 * day})
		for id, left := range map[int64]int{old.run.ID: 0, young.run.ID: 3} {
			streams, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: id, System: true, Limit: 1000})
			require.NoError(t, err)
			require.Len(t, streams, left+min(left, 1), "its plan with them")
			warnings, err := w.s.Warnings(w.ctx(), id, 0)
			require.NoError(t, err)
			require.Len(t, warnings, left)
		}
		runs, err := w.s.Runs(w.ctx(), store.RunFilter{})
		require.NoError(t, err)
		require.Len(t, runs, 2)
		open.plan(names("a")...)
		open.finish(open.claim(), done(), record("1", "x"))
		require.Equal(t, store.RunProcessed, open.reload().State)
	})

	t.Run("WhatFailedCanBeContinuedUntilThen", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		for _, s := range j.claims(2) {
			j.finish(s, failed("no"))
		}
		j.release()
		w.clock.add(91 * day)
		r, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunPending, r.State)
		w.purge(store.DefaultRetention())
		require.Equal(t, store.RunPending, j.reload().State, "it is not over")
		_, err = w.s.CancelRun(w.ctx(), j.run.ID, "enough")
		require.NoError(t, err)
		w.clock.add(time.Hour)
		w.purge(store.DefaultRetention())
		require.Equal(t, store.RunCancelled, j.reload().State, "its time counts from its end")
		w.clock.add(91 * day)
		w.purge(store.DefaultRetention())
		_, err = w.s.ContinueRun(w.ctx(), j.run.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
	})

	t.Run("EventsAndWhatHasAnEnd", func(t *testing.T) {
		w := setup(t)
		w.create("history")
		require.NoError(t, w.s.CachePut(w.ctx(), store.CacheEntry{Scope: "a", Key: "k", ExpiresAt: w.clock.Now().Add(time.Hour)}))
		w.clock.add(91 * day)
		w.create("other")
		w.purge(store.Retention{})
		all, err := w.s.Events(w.ctx(), 0, 0)
		require.NoError(t, err)
		require.Len(t, all, 2, "kept for ever")
		w.purge(store.DefaultRetention())
		all, err = w.s.Events(w.ctx(), 0, 0)
		require.NoError(t, err)
		require.Len(t, all, 1)
	})

	t.Run("DeletionsAreForgotten", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		put := func(records ...store.Record) {
			seg.Records = records
			j.apply(seg)
			seg.Seq++
		}
		gone := func(id string) store.Record { return store.Record{Kind: "activity", ExternalID: id, Deleted: true} }
		keep := store.Retention{Deleted: 30 * day}
		put(record("1", "x"), record("2", "x"), record("3", "x"))
		follower := w.reader(store.RecordFilter{IntegrationID: j.i.ID})
		follower.read()
		behind, unaware := *follower, *follower
		put(gone("1"), gone("2"))
		w.purge(keep) // an hourly mark
		follower.read()
		w.clock.add(31 * day)
		put(gone("3"), record("2", "back"), record("4", "x"))
		newest := w.reader(store.RecordFilter{IntegrationID: j.i.ID, Limit: 1}) // begins before, and goes on after
		newest.read()
		w.purge(keep)
		w.clock.add(2 * time.Hour)
		w.purge(keep)
		var left []string
		for _, r := range w.records(j.i) {
			left = append(left, fmt.Sprint(r.ExternalID, " ", r.Deleted))
		}
		require.Equal(t, []string{"2 false", "3 true", "4 false"}, left, "one that came back stays, and so does a young deletion")
		st, err := w.s.Status(w.ctx())
		require.NoError(t, err)
		require.Equal(t, int64(3), st.Records)

		// Who was there goes on; who was not is told; who does not care is left alone.
		follower.read()
		require.Equal(t, map[string]string{"i0 2": `{"text":"back"}`, "i0 4": `{"text":"x"}`}, follower.seen)
		for len(newest.read()) > 0 {
			continue
		}
		require.Equal(t, follower.seen, newest.seen)
		_, err = w.s.Feed(w.ctx(), behind.filter)
		require.ErrorIs(t, err, store.ErrPositionExpired)
		hint, ok := errors.AsType[*store.HintError](err)
		require.True(t, ok)
		require.Contains(t, hint.Hint, "read anew")
		whole := behind.filter
		whole.IntegrationID = 0
		_, err = w.s.Feed(w.ctx(), whole)
		require.ErrorIs(t, err, store.ErrPositionExpired)
		living := unaware.filter
		living.Deleted = false
		_, err = w.s.Feed(w.ctx(), living)
		require.NoError(t, err)
		other := w.create("other")
		living.Deleted, living.IntegrationID = true, other.ID
		_, err = w.s.Feed(w.ctx(), living)
		require.NoError(t, err, "nothing of that one was forgotten")
	})

	// A reader that pages through while records are deleted and forgotten ends with
	// what is there, or is told to begin anew.
	t.Run("PurgeWhileReading", func(t *testing.T) { // rows: K23
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		for n := range 200 {
			seg.Records = append(seg.Records, record(fmt.Sprintf("%03d", n), "x"))
		}
		j.apply(seg)
		r := w.reader(store.RecordFilter{Limit: 10})
		anew := 0
		for n := 0; ; {
			page, err := w.s.Feed(w.ctx(), r.filter)
			if errors.Is(err, store.ErrPositionExpired) {
				r = w.reader(store.RecordFilter{Limit: 10})
				anew++
				continue
			}
			require.NoError(t, err)
			r.read()
			if n < 60 {
				seg.Seq++
				seg.Records = []store.Record{{Kind: "activity", ExternalID: fmt.Sprintf("%03d", n*3), Deleted: true}, record(fmt.Sprintf("%03d", n*3+1), fmt.Sprint(n))}
				j.apply(seg)
				w.purge(store.Retention{Deleted: day})
				w.clock.add(2 * time.Hour)
				if n%20 == 19 {
					w.clock.add(2 * day)
				}
				n++
				continue
			}
			if len(page.Records) == 0 {
				break
			}
		}
		require.Positive(t, anew)
		want := map[string]string{}
		for _, c := range w.records(j.i) {
			if !c.Deleted {
				want[c.Integration+" "+c.ExternalID] = string(c.Data)
			}
		}
		require.Len(t, want, 140)
		require.Equal(t, want, r.seen)
	})
}
