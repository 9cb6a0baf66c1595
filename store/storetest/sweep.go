package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// lists is what a run is begun with whose connector commits lists activities.
func lists() store.RunBegin {
	return store.RunBegin{Complete: map[string][]string{"commits": {"activity"}}, DeleteGuard: 0.2}
}

// full asks for a forced run.
func full() store.RunRequest {
	return store.RunRequest{Kind: store.RunManual, Force: true, ParamsSum: "force"}
}

// some returns n records of a kind, from the number on.
func some(kind string, from, n int) (out []store.Record) {
	for k := range n {
		out = append(out, store.Record{Kind: kind, ExternalID: fmt.Sprintf("%04d", from+k), Data: []byte(`{"text":"x"}`)})
	}
	return out
}

// living returns the ids of a kind that are not deleted.
func (w *world) living(i store.Integration, kind string) (ids []string) {
	w.Helper()
	for _, r := range w.records(i) {
		if r.Kind == kind && !r.Deleted {
			ids = append(ids, r.ExternalID)
		}
	}
	slices.Sort(ids)
	return ids
}

// sync runs one stream with these records to its end, and what follows it.
func (j *job) sync(records ...store.Record) store.Run {
	j.w.Helper()
	j.plan(names("a")...)
	j.finish(j.claim(), done(), records...)
	for j.sweep() {
		continue
	}
	r := j.reload()
	require.True(j.w, r.State.Terminal(), r.State)
	j.release()
	return r
}

// sweep does one segment of the sweep, and reports whether there was one.
func (j *job) sweep() bool {
	j.w.Helper()
	streams := j.claims(1)
	if len(streams) == 0 {
		return false
	}
	require.Equal(j.w, store.StreamSweep, streams[0].Type)
	seg := j.segment(streams[0])
	if a := j.apply(seg); a.Done {
		return false
	}
	seg.Seq++
	seg.End = &store.StreamEnd{State: store.StreamPending, Answered: true}
	j.apply(seg)
	return true
}

// rows: K07
func testSweep(t *testing.T, setup func(*testing.T) *world) {
	// onboarded returns an integration with n activities and n notes, which nobody
	// lists completely.
	onboarded := func(w *world, n int) store.Integration {
		w.Helper()
		j := w.begin(store.RunRequest{Kind: store.RunOnboarding, Scheduled: true}, lists())
		r := j.sync(append(some("activity", 0, n), some("note", 0, n)...)...)
		require.Equal(w, store.RunProcessed, r.State)
		require.Equal(w, int64(2*n), r.Stats.Added)
		return j.i
	}

	t.Run("WhatVanishedIsDeletedExactly", func(t *testing.T) {
		w := setup(t)
		i := onboarded(w, 1200) // several pages
		other := onboarded(w, 20)
		at, err := w.s.Position(w.ctx())
		require.NoError(t, err)
		j := w.beginOf(i, full(), lists())
		r := j.sync(some("activity", 100, 1150)...) // 100 vanished, 50 are new
		require.Equal(t, store.RunProcessed, r.State)
		require.Equal(t, store.RunStats{Read: 1250, Added: 50, Deleted: 100, Unchanged: 1100}, r.Stats)
		require.Equal(t, "0100", w.living(i, "activity")[0])
		require.Len(t, w.living(i, "activity"), 1150)
		require.Len(t, w.living(i, "note"), 1200)
		require.Len(t, w.living(other, "activity"), 20)
		page, err := w.s.Feed(w.ctx(), store.RecordFilter{After: at, Deleted: true, Limit: 1000})
		require.NoError(t, err)
		told := map[store.RecordChange]int{}
		for _, c := range page.Records {
			told[c.Change]++
		}
		require.Equal(t, map[store.RecordChange]int{store.RecordAdded: 50, store.RecordDeleted: 100}, told)
		again := w.beginOf(i, full(), lists())
		require.Equal(t, int64(1150), again.sync(some("activity", 100, 1150)...).Stats.Unchanged)
		w.purge(store.DefaultRetention())
	})

	t.Run("APartDeletesNothing", func(t *testing.T) {
		every := lists()
		every.DeleteGuard = 1
		for name, c := range map[string]struct {
			req   store.RunRequest
			begin store.RunBegin
		}{
			"a check":            {store.RunRequest{}, every},
			"no cursors":         {store.RunRequest{}, every}, // a check that goes by its watermark
			"parameters":         {store.RunRequest{Kind: store.RunManual, Force: true, ParamsSum: "p", Params: map[string]string{"since": "x"}}, every},
			"one connector":      {store.RunRequest{Kind: store.RunManual, Force: true, ParamsSum: "c", Connectors: []string{"commits"}}, every},
			"no promise":         {full(), store.RunBegin{}},
			"from cursors":       {store.RunRequest{Kind: store.RunOnboarding, ParamsSum: "o"}, every},
			"of another's kinds": {full(), store.RunBegin{Complete: map[string][]string{"gone": {"activity"}}, DeleteGuard: 1}},
		} {
			t.Run(name, func(t *testing.T) {
				w := setup(t)
				j := w.begin(store.RunRequest{Kind: store.RunOnboarding, Scheduled: true}, lists())
				j.plan(names("a")...)
				seg := j.segment(j.claim())
				end := done()
				seg.Records, seg.End = some("activity", 0, 30), &end
				if name != "no cursors" {
					seg.Cursor = []byte("c")
				}
				j.apply(seg)
				for j.sweep() {
					continue
				}
				j.release()
				part := w.beginOf(j.i, c.req, c.begin)
				r := part.sync(some("activity", 2, 5)...)
				require.Equal(t, store.RunProcessed, r.State)
				require.Zero(t, r.Stats.Deleted)
				require.Len(t, w.living(j.i, "activity"), 30)
			})
		}
	})

	t.Run("WhatWasNotReadDeletesNothing", func(t *testing.T) {
		w := setup(t)
		i := onboarded(w, 30)
		j := w.beginOf(i, full(), lists())
		j.plan(names("a", "b")...)
		streams := j.claims(2)
		j.finish(streams[0], done(), some("activity", 0, 20)...)
		j.finish(streams[1], failed("no"))
		require.False(t, j.sweep())
		require.Equal(t, store.RunPartial, j.reload().State)
		require.Len(t, w.living(i, "activity"), 30)
		j.release()

		// Continued, it knows what it has seen before, and what others met meanwhile.
		between := w.beginOf(i, store.RunRequest{Kind: store.RunManual, ParamsSum: "q", Params: map[string]string{"q": "1"}}, lists())
		between.sync(some("activity", 28, 1)...)
		_, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		j.lane = w.claimLane()
		_, err = w.s.BeginRun(w.ctx(), j.lane.Ref(), j.run.ID, lists())
		require.NoError(t, err)
		j.finish(j.claim(), done(), some("activity", 20, 7)...)
		for j.sweep() {
			continue
		}
		r := j.reload()
		require.Equal(t, store.RunProcessed, r.State)
		require.Equal(t, int64(2), r.Stats.Deleted)
		living := w.living(i, "activity")
		require.Len(t, living, 28)
		require.Equal(t, "0028", living[27], "met by the run between")
		j.release()

		for name, act := range map[string]func(j *job){
			"a skipped stream": func(j *job) {
				j.plan(names("a", "b")...)
				j.finish(j.claim(), done(), some("activity", 0, 1)...)
				streams, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: j.run.ID, State: store.StreamPending})
				require.NoError(t, err)
				_, err = w.s.SkipStream(w.ctx(), streams[0].ID, "no need")
				require.NoError(t, err)
			},
			"a skipped record": func(j *job) {
				j.plan(names("a")...)
				seg := j.segment(j.claim())
				end := done()
				seg.Records, seg.Warnings, seg.End = some("activity", 0, 1), []store.Warning{{RecordID: "9", Message: "no id"}}, &end
				j.apply(seg)
			},
			"a warning of the plan": func(j *job) {
				seg := j.segment(j.claim())
				end := done()
				seg.Streams, seg.Warnings, seg.End = names("a"), []store.Warning{{Message: "a page was refused"}}, &end
				j.apply(seg)
				j.finish(j.claim(), done(), some("activity", 0, 1)...)
			},
			"no stream": func(j *job) { j.plan() },
			"a cancel": func(j *job) {
				j.plan(names("a")...)
				_, err := w.s.CancelRun(w.ctx(), j.run.ID, "enough")
				require.NoError(t, err)
			},
		} {
			begin := lists()
			begin.DeleteGuard = 1
			j := w.beginOf(i, full(), begin)
			act(j)
			require.Empty(t, j.unlessOver(), name)
			require.True(t, j.reload().State.Terminal(), name)
			require.Len(t, w.living(i, "activity"), 28, name)
			j.free()
		}
	})

	t.Run("TheGuard", func(t *testing.T) {
		w := setup(t)
		i := onboarded(w, 100)
		r := w.beginOf(i, full(), lists()).sync(some("activity", 21, 79)...)
		require.Equal(t, store.RunProcessed, r.State)
		require.Zero(t, r.Stats.Deleted)
		require.Len(t, w.living(i, "activity"), 100)
		warnings, err := w.s.Warnings(w.ctx(), r.ID, 0)
		require.NoError(t, err)
		require.Len(t, warnings, 1)
		require.Contains(t, warnings[0].Message, "21 of 100 records of kind activity")
		require.Contains(t, warnings[0].Message, "jackfield integration sync acme/"+i.Name+" --force --accept-deletes")
		require.Equal(t, []string{"run.deletes_held", "run.processed"}, w.events(r.ID))

		fits := w.beginOf(i, full(), lists()).sync(some("activity", 20, 80)...)
		require.Equal(t, int64(20), fits.Stats.Deleted, "a fifth is allowed")
		accept := full()
		accept.AcceptDeletes = true
		all := w.beginOf(i, accept, lists()).sync(some("activity", 95, 5)...)
		require.Equal(t, int64(75), all.Stats.Deleted)
		few := onboarded(w, 12)
		require.Equal(t, int64(10), w.beginOf(few, full(), lists()).sync(some("activity", 0, 2)...).Stats.Deleted, "ten are allowed whatever their share")
	})

	// What changes after the run began is newer than what it saw; and a sweep that is
	// interrupted anywhere, or taken away, goes on without a mistake.
	t.Run("InterruptedAndOvertaken", func(t *testing.T) {
		w := setup(t)
		i := onboarded(w, 1100)
		begin := lists()
		begin.DeleteGuard = 1
		j := w.beginOf(i, full(), begin)
		j.plan(names("a")...)
		j.finish(j.claim(), done(), some("activity", 0, 1)...)
		for n := 0; j.reload().State == store.RunProcessing; n++ {
			s := j.claim()
			require.Equal(t, store.StreamSweep, s.Type)
			if n%2 == 0 { // the host dies: the claim is nobody's
				w.clock.add(2 * lease)
				stale := j.segment(s)
				j.lane = w.claimLane()
				_, err := w.s.Apply(w.ctx(), stale)
				require.ErrorIs(t, err, store.ErrStale)
				continue
			}
			if n == 5 { // somebody asks for a part meanwhile, and finds what was there
				other := w.request(store.RunRequest{IntegrationID: i.ID, Kind: store.RunManual, ParamsSum: "q", Params: map[string]string{"q": "1"}})
				j.finish(s, store.StreamEnd{State: store.StreamPending, Answered: true})
				between := &job{w: w, i: i, lane: j.lane, run: other}
				_, err := w.s.BeginRun(w.ctx(), j.lane.Ref(), other.ID, lists())
				require.NoError(t, err)
				changed := some("activity", 1090, 5)
				changed[4].Data = []byte(`{"text":"new"}`)
				between.plan(names("a")...)
				seg := between.segment(between.claim())
				end := done()
				seg.Records, seg.End = changed, &end
				seg.Updates = []store.Update{{Kind: "activity", ExternalID: "1080", Patch: []byte(`{"text":"changed here"}`)}}
				between.apply(seg)
				_, err = w.s.BeginRun(w.ctx(), j.lane.Ref(), j.run.ID, begin)
				require.NoError(t, err)
				continue
			}
			seg := j.segment(s)
			if a := j.apply(seg); !a.Done {
				seg.Seq++
				seg.End = &store.StreamEnd{State: store.StreamPending, Answered: true}
				j.apply(seg)
			}
			require.Less(t, n, 50)
		}
		require.Equal(t, []string{"0000", "1080", "1090", "1091", "1092", "1093", "1094"}, w.living(i, "activity"))
		require.Equal(t, int64(1093), j.reload().Stats.Deleted)
		require.Len(t, w.living(i, "note"), 1100)
	})
}

// unlessOver returns what there is to claim of the run, if it goes on.
func (j *job) unlessOver() []store.Stream {
	j.w.Helper()
	if j.reload().State.Terminal() {
		return nil
	}
	return j.claims(10)
}

// free gives the lane back, if it is held still.
func (j *job) free() {
	j.w.Helper()
	_ = j.w.s.ReleaseLane(j.w.ctx(), j.lane) // it was taken away by a cancel
	j.w.clock.add(time.Second)
}
