package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// breaks ends the claim of a stream with a move of a circuit.
func (j *job) breaks(s store.Stream, move store.CircuitMove, c store.Circuit) {
	j.w.Helper()
	seg := j.segment(s)
	seg.Circuit = &store.CircuitChange{Move: move, Circuit: c}
	seg.End = &store.StreamEnd{State: store.StreamPending, Answered: true}
	j.apply(seg)
}

// rows: O51, F18
func testCircuits(t *testing.T, setup func(*testing.T) *world) {
	open := func(w *world) []store.Circuit {
		w.Helper()
		list, err := w.s.Circuits(w.ctx(), 1)
		require.NoError(w, err)
		return list
	}
	begin := func(w *world) (*job, store.Circuit) {
		w.Helper()
		streams := names("a", "b", "c", "d")
		for i, key := range []string{"one", "one", "two", "three"} {
			streams[i].LimitKey = key
		}
		j := w.plan(store.RunRequest{}, streams...)
		all := j.claims(3) // one, one, two
		c := store.Circuit{Host: "api", OpenedAt: w.clock.Now(), Until: w.clock.Now().Add(time.Minute), Opens: 1, Message: "down"}
		j.breaks(all[0], store.CircuitOpen, c)
		j.breaks(all[1], store.CircuitJoin, c)
		j.breaks(all[2], store.CircuitJoin, c)
		return j, c
	}

	t.Run("ItHoldsBackTheKeysThatUseIt", func(t *testing.T) {
		w := setup(t)
		j, c := begin(w)
		require.Equal(t, []store.Circuit{c}, open(w))
		got := j.claims(5)
		require.Len(t, got, 1)
		require.Equal(t, "d", got[0].Ident)
		require.Nil(t, got[0].Probe)
		j.finish(got[0], done())
		j.release()
		require.Equal(t, time.Minute, w.nextWake())
	})

	t.Run("OneProbeGoesAhead", func(t *testing.T) {
		w := setup(t)
		j, c := begin(w)
		j.finish(j.claim(), done())
		w.clock.add(30 * time.Second)
		require.Empty(t, j.claims(5))
		j.release()
		w.clock.add(30 * time.Second)
		j.lane = w.claimLane()
		got := j.claims(5)
		require.Len(t, got, 1, "of all keys that use it")
		require.Equal(t, &c, got[0].Probe)
		require.True(t, open(w)[0].Probing)
		require.Empty(t, j.claims(5))

		c.Opens, c.Until = 2, w.clock.Now().Add(40*time.Second)
		j.breaks(got[0], store.CircuitOpen, c)
		require.Equal(t, []store.Circuit{c}, open(w))
		require.Empty(t, j.claims(5))
		j.release()
		w.clock.add(40 * time.Second)
		j.lane = w.claimLane()
		probe := j.claim()
		require.Equal(t, 2, probe.Probe.Opens)
		j.breaks(probe, store.CircuitClose, c)
		require.Empty(t, open(w))
		require.Len(t, j.claims(5), 3)
	})

	t.Run("AProbeThatIsLostIsFollowedByAnother", func(t *testing.T) {
		w := setup(t)
		j, _ := begin(w)
		j.finish(j.claim(), done())
		j.release()
		w.clock.add(time.Minute)
		j.lane = w.claimLane()
		require.NotNil(t, j.claim().Probe)
		j.release() // in the middle
		j.lane = w.claimLane()
		require.NotNil(t, j.claim().Probe)
		require.Empty(t, j.claims(5))
	})

	t.Run("WhatIsClosedIsNotJoined", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		j.breaks(j.claim(), store.CircuitJoin, store.Circuit{Host: "api"})
		require.Empty(t, open(w))
	})

	t.Run("APersonHasItTriedAtOnce", func(t *testing.T) {
		w := setup(t)
		j, _ := begin(w)
		j.finish(j.claim(), done())
		j.release()
		_, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		j.lane = w.claimLane()
		require.NotNil(t, j.claim().Probe)
	})
}
