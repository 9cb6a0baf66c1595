package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// writes says that the plugin writes a version of opaque data from now on.
func (w *world) writes(version int) {
	w.Helper()
	require.NoError(w, w.s.SavePluginMoves(w.ctx(), []store.PluginMove{{
		At: w.clock.Now(), Machine: store.MachinePlugin, Plugin: plug, Digest: "d", To: store.PluginActive, StateWrites: version,
	}}))
}

func (w *world) unread(reads ...int) []store.UnreadState {
	w.Helper()
	out, err := w.s.UnreadState(w.ctx(), plug, reads)
	require.NoError(w, err)
	return out
}

// turn ends the claim of a stream with a cursor.
func (j *job) turn(s store.Stream) {
	j.w.Helper()
	seg, end := j.segment(s), done()
	seg.Cursor, seg.End = []byte("cursor"), &end
	j.apply(seg)
}

// rows: K17
func testPluginReads(t *testing.T, setup func(*testing.T) *world) {
	t.Run("ACursorIsOfTheVersionThatWroteIt", func(t *testing.T) {
		w := setup(t)
		require.Empty(w, w.unread(), "nothing is written")
		w.writes(1)
		j := w.plan(store.RunRequest{}, names("a")...)
		j.turn(j.claim())
		name := "acme/" + j.i.Name
		require.Empty(w, w.unread(1))
		require.Equal(w, []store.UnreadState{{Version: 1, Integration: name, Connector: "commits"}}, w.unread(2))
		require.Empty(w, w.unread(2, 1))
		j.release()

		w.clock.add(time.Hour)
		w.writes(2)
		w.writes(2) // a restart of the host
		require.Equal(w, []store.UnreadState{{Version: 1, Integration: name, Connector: "commits"}}, w.unread(2), "it is not written again yet")
		w.clock.add(time.Hour)
		next := w.beginOf(j.i, store.RunRequest{Kind: store.RunManual, ParamsSum: "x"}, store.RunBegin{})
		next.plan(names("a")...)
		next.turn(next.claim())
		require.Empty(w, w.unread(2))
		require.Equal(w, []store.UnreadState{{Version: 2, Integration: name, Connector: "commits"}}, w.unread(1))
	})

	t.Run("WhatAnOldProcessWritesWhileItDrainsIsOfItsVersion", func(t *testing.T) {
		w := setup(t)
		w.writes(1)
		j := w.plan(store.RunRequest{}, names("a")...)
		w.clock.add(time.Hour)
		w.writes(2)
		w.clock.add(time.Minute)
		j.turn(j.claim())
		require.NotEmpty(w, w.unread(2))
		require.NotEmpty(w, w.unread(1), "or of the new one: nobody knows")
	})

	t.Run("AStreamOfAnOpenRunCounts", func(t *testing.T) {
		w := setup(t)
		w.writes(1)
		j := w.plan(store.RunRequest{}, names("a")...)
		w.clock.add(time.Hour)
		w.writes(2)
		require.Equal(w, []store.UnreadState{{Version: 1, Integration: "acme/" + j.i.Name, Connector: "commits", Run: j.run.ID}}, w.unread(2))
		j.finish(j.claim(), done())
		require.Empty(w, w.unread(2), "the run is over")
	})

	t.Run("WithoutAVersionNothingIsAsked", func(t *testing.T) {
		w := setup(t)
		w.writes(0)
		j := w.plan(store.RunRequest{}, names("a")...)
		j.turn(j.claim())
		require.Empty(w, w.unread(7))
	})
}
