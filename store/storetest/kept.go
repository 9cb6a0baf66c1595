package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// moves begins a run of the integration with a stream for each partition, and ends
// those that have a cursor to move.
func (w *world) moves(i store.Integration, kind store.RunKind, sum string, cursors map[string]string) *job {
	w.Helper()
	var idents []string
	for partition := range cursors {
		idents = append(idents, partition)
	}
	j := w.beginOf(i, store.RunRequest{Kind: kind, ParamsSum: sum}, store.RunBegin{})
	j.plan(names(idents...)...)
	for range idents {
		s := j.claim()
		if cursors[s.Partition] == "" {
			continue // it stays at work
		}
		seg, end := j.segment(s), done()
		seg.Cursor, seg.End = []byte(cursors[s.Partition]), &end
		seg.Records = []store.Record{record(s.Partition, cursors[s.Partition])}
		j.apply(seg)
	}
	return j
}

// cursorsOf plans the run that waits with these partitions and returns with what cursor
// each of them begins.
func (w *world) cursorsOf(i store.Integration, partitions ...string) map[string]string {
	w.Helper()
	lane := w.claimLane()
	require.Equal(w, i.ID, lane.IntegrationID)
	run, ok, err := w.s.NextRun(w.ctx(), lane)
	require.NoError(w, err)
	require.True(w, ok)
	run, err = w.s.BeginRun(w.ctx(), lane.Ref(), run.ID, store.RunBegin{})
	require.NoError(w, err)
	j := &job{w: w, i: i, lane: lane, run: run}
	j.plan(names(partitions...)...)
	out := map[string]string{}
	for _, s := range j.claims(len(partitions)) {
		out[s.Partition] = string(s.Cursor)
	}
	require.Len(w, out, len(partitions))
	return out
}

func (w *world) kept() string {
	w.Helper()
	digest, err := w.s.KeptCursors(w.ctx(), plug)
	require.NoError(w, err)
	return digest
}

// rows: K17
func testKeptCursors(t *testing.T, setup func(*testing.T) *world) {
	t.Run("ComeBackWithTheProgramBefore", func(t *testing.T) {
		w := setup(t)
		w.revoked = make(chan []int64, 1)
		w.writes(1)
		i := w.create("one")
		j := w.moves(i, store.RunCheck, "", map[string]string{"a": "a of 1", "b": "b of 1"})
		j.release()
		require.Empty(t, w.kept())
		w.clock.add(time.Hour)
		require.NoError(t, w.s.KeepCursors(w.ctx(), plug, "d2"))
		require.Equal(t, "d2", w.kept())

		w.clock.add(time.Minute)
		w.writes(2)
		next := w.moves(i, store.RunManual, "x", map[string]string{"a": "a of 2", "c": "c of 2", "d": ""})
		require.NoError(t, w.s.CachePut(w.ctx(), store.CacheEntry{Scope: "integration:" + i.UID, Key: "k", Value: []byte("of 2"), ExpiresAt: w.clock.Now().Add(time.Hour)}))
		busy, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: next.run.ID, State: store.StreamProcessing})
		require.NoError(t, err)
		require.Len(t, busy, 1)

		restored, err := w.s.RestoreCursors(w.ctx(), plug, "version 2 failed")
		require.NoError(t, err)
		require.Equal(t, []string{"acme/one"}, restored)
		require.Equal(t, []int64{next.lane.ID}, w.taken())
		over := next.reload()
		require.Equal(t, store.RunCancelled, over.State)
		require.Equal(t, "version 2 failed", over.Failure.Message)
		seg, end := next.segment(busy[0]), done()
		seg.Cursor, seg.End = []byte("d of 2"), &end
		_, err = w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrStale, "what is under way writes nothing")
		_, found, err := w.s.CacheGet(w.ctx(), "integration:"+i.UID, "k")
		require.NoError(t, err)
		require.False(t, found, "the one before does not read it")
		require.Empty(t, w.unread(1), "nothing is left that the one before does not read")
		require.Len(t, w.records(i), 3, "records stay")

		runs, err := w.s.Runs(w.ctx(), store.RunFilter{IntegrationID: i.ID})
		require.NoError(t, err)
		require.Equal(t, store.RunPending, runs[0].State, "it is planned anew")
		require.Equal(t, store.RunManual, runs[0].Kind)
		require.Equal(t, "x", runs[0].ParamsSum)
		require.Equal(t, map[string]string{"a": "a of 1", "b": "b of 1", "c": "", "d": ""}, w.cursorsOf(i, "a", "b", "c", "d"))
	})

	t.Run("WatermarksComeBackToo", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		w.moves(i, store.RunCheck, "", map[string]string{"a": "1"}).release()
		first := w.clock.Now()
		w.clock.add(time.Hour)
		require.NoError(t, w.s.KeepCursors(w.ctx(), plug, "d2"))
		w.clock.add(time.Hour)
		w.moves(i, store.RunCheck, "", map[string]string{"a": "2"}).release()
		_, err := w.s.RestoreCursors(w.ctx(), plug, "")
		require.NoError(t, err)
		w.clock.add(time.Hour)
		j := w.beginOf(i, store.RunRequest{}, store.RunBegin{})
		j.plan(names("a")...)
		s := j.claim()
		require.Equal(t, first, s.Watermarks["commits"])
		require.Equal(t, "1", string(s.Cursor))
	})

	t.Run("WhatDidNotMoveGoesOn", func(t *testing.T) {
		w := setup(t)
		i, other := w.create("one"), w.create("other")
		for _, of := range []store.Integration{i, other} {
			w.request(store.RunRequest{IntegrationID: of.ID})
		}
		require.NoError(t, w.s.KeepCursors(w.ctx(), plug, "d2"))
		restored, err := w.s.RestoreCursors(w.ctx(), plug, "")
		require.NoError(t, err)
		require.Empty(t, restored, "their runs have not begun")
		again, err := w.s.IntegrationByID(w.ctx(), i.ID)
		require.NoError(t, err)
		require.Equal(t, i.Generation, again.Generation)
	})

	t.Run("WithoutACopyNothingHappens", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		w.moves(i, store.RunCheck, "", map[string]string{"a": "1", "b": ""})
		restored, err := w.s.RestoreCursors(w.ctx(), plug, "")
		require.NoError(t, err)
		require.Empty(t, restored)
	})

	t.Run("TheNewestCopyIsKeptUntilItIsDropped", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		w.moves(i, store.RunCheck, "", map[string]string{"a": "1", "b": "1"}).release()
		require.NoError(t, w.s.KeepCursors(w.ctx(), plug, "d2"))
		w.clock.add(time.Minute)
		w.moves(i, store.RunManual, "x", map[string]string{"a": "2"}).release()
		require.NoError(t, w.s.KeepCursors(w.ctx(), plug, "d3"))
		require.Equal(t, "d3", w.kept())
		more, err := w.s.DropKept(w.ctx(), []string{"other", plug})
		require.NoError(t, err)
		require.False(t, more)
		require.Equal(t, "d3", w.kept())
		w.clock.add(time.Minute)
		w.moves(i, store.RunManual, "y", map[string]string{"a": "3"}).release()
		restored, err := w.s.RestoreCursors(w.ctx(), plug, "")
		require.NoError(t, err)
		require.Len(t, restored, 1)
		w.request(store.RunRequest{IntegrationID: i.ID, Kind: store.RunManual, ParamsSum: "z"})
		require.Equal(t, map[string]string{"a": "2", "b": "1"}, w.cursorsOf(i, "a", "b"))
		for more := true; more; {
			more, err = w.s.DropKept(w.ctx(), nil)
			require.NoError(t, err)
		}
		require.Empty(t, w.kept())
		restored, err = w.s.RestoreCursors(w.ctx(), plug, "")
		require.NoError(t, err)
		require.Empty(t, restored)
	})
}
