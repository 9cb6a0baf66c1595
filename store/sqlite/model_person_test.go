package sqlite

import (
	"maps"
	"slices"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jackfield/jackfield/store"
)

func (m *model) anyRun(t *rapid.T) int64 {
	if len(m.runs) == 0 {
		t.Skip("no run")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.runs))).Draw(t, "run")
}

func (m *model) cancel(t *rapid.T) {
	id := m.anyRun(t)
	_, err := m.db.CancelRun(m.Context(), id, "by the test")
	if m.runs[id].state.Terminal() {
		require.ErrorIs(m, err, store.ErrConflict)
		return
	}
	require.NoError(m, err)
	m.stop(id, store.RunCancelled)
	m.lane = nil // it is taken away
}

func (m *model) resume(t *rapid.T) {
	id := m.anyRun(t)
	r := m.runs[id]
	_, err := m.db.ContinueRun(m.Context(), id)
	again := m.of(id, func(s *modelStream) bool {
		return s.state == store.StreamError || s.state == store.StreamCancelled && !s.skipped
	})
	ended := r.state == store.RunPartial || r.state == store.RunError
	switch {
	case !m.enabled, r.state.Terminal() && !ended, ended && (m.openRun() != 0 || len(again) == 0):
		require.ErrorIs(m, err, store.ErrConflict)
		return
	case ended:
		for _, s := range again {
			m.streams[s].state, m.streams[s].due = store.StreamPending, m.now
		}
		r.state = store.RunPending
	default: // it waits for nothing any more
		for _, s := range m.of(id, func(s *modelStream) bool { return s.due.After(m.now) }) {
			m.streams[s].due = m.now
		}
	}
	require.NoError(m, err)
}

func (m *model) anyStream(t *rapid.T) int64 {
	if len(m.streams) == 0 {
		t.Skip("no stream")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.streams))).Draw(t, "stream")
}

func (m *model) retry(t *rapid.T) {
	id := m.anyStream(t)
	s := m.streams[id]
	r := m.runs[s.run]
	_, err := m.db.RetryStream(m.Context(), id)
	over := r.state.Terminal()
	if s.state != store.StreamError || !m.enabled || over && (m.openRun() != 0 || r.state != store.RunPartial && r.state != store.RunError) {
		require.ErrorIs(m, err, store.ErrConflict)
		return
	}
	require.NoError(m, err)
	s.state, s.due = store.StreamPending, m.now
	if over {
		r.state = store.RunPending
	}
}

func (m *model) skip(t *rapid.T) {
	id := m.anyStream(t)
	s := m.streams[id]
	_, err := m.db.SkipStream(m.Context(), id, "by the test")
	if s.plan || s.state != store.StreamPending && s.state != store.StreamDelayed && s.state != store.StreamError {
		require.ErrorIs(m, err, store.ErrConflict)
		return
	}
	require.NoError(m, err)
	s.state, s.skipped = store.StreamCancelled, true
	m.settle(s.run)
}

func (m *model) toggle(*rapid.T) {
	op := store.ChangeUpdate
	if m.enabled {
		op = store.ChangeDisable
	}
	require.NoError(m, m.db.ApplyChanges(m.Context(), []store.Change{m.change(op)}))
	if m.enabled {
		if run := m.openRun(); run != 0 {
			m.stop(run, store.RunCancelled)
		}
		m.lane = nil
	}
	m.enabled = !m.enabled
}
