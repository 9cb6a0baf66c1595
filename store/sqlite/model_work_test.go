package sqlite

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jackfield/jackfield/store"
)

func (m *model) claimLane(t *rapid.T) {
	if m.lane != nil {
		t.Skip("held")
	}
	var next store.Due
	lanes, err := m.db.ClaimLanes(m.Context(), store.LaneClaim{Plugins: []string{"git"}, Limit: 2, Lease: 24 * time.Hour, Next: &next})
	require.NoError(m, err)
	if len(lanes) > 0 {
		due, err := m.db.NextWake(m.Context(), []string{"git"})
		require.NoError(m, err)
		require.Equal(m, due, next)
	}
	run := m.openRun()
	if run != 0 && (m.runs[run].state == store.RunPending || len(m.dueOf(run)) > 0) {
		require.Len(m, lanes, 1, "there is work")
	}
	if !m.enabled {
		require.Empty(m, lanes, "it is disabled")
	}
	if len(lanes) > 0 {
		m.lane = &lanes[0]
	}
}

// work begins the open run, if it waits, and claims some of its streams.
func (m *model) work(t *rapid.T) {
	run := m.openRun()
	if m.lane == nil || run == 0 {
		t.Skip("nothing to work on")
	}
	r := m.runs[run]
	if r.state == store.RunPending {
		_, err := m.db.BeginRun(m.Context(), m.lane.Ref(), run, store.RunBegin{})
		require.NoError(m, err)
		r.state = store.RunProcessing
		if !r.begun {
			m.learn(run, true)
		}
		r.begun = true
		m.settle(run)
		return
	}
	n := rapid.IntRange(1, 3).Draw(t, "streams")
	due := m.dueOf(run)
	got, err := m.db.ClaimStreams(m.Context(), m.lane.Ref(), run, n)
	require.NoError(m, err)
	require.Len(m, got, min(n, len(due)))
	for _, s := range got {
		require.Contains(m, due, s.ID)
		m.streams[s.ID].state = store.StreamProcessing
		m.streams[s.ID].claim++
	}
}

// learn takes over the streams that are new in the store: their ids are its choice.
func (m *model) learn(run int64, plan bool) (n int) {
	all, err := m.db.Streams(m.Context(), store.StreamFilter{RunID: run, System: true, Limit: 1000})
	require.NoError(m, err)
	for _, s := range all {
		if m.streams[s.ID] == nil {
			m.streams[s.ID] = &modelStream{run: run, plan: plan, state: store.StreamPending, due: m.now}
			n++
		}
	}
	return n
}

func (m *model) segment(id int64) store.Segment {
	s := m.streams[id]
	seg := store.Segment{RunID: s.run, StreamID: id, Claim: s.claim, Seq: s.seq}
	if m.lane != nil {
		seg.Lane, seg.Generation = m.lane.Ref(), m.lane.Generation
	}
	return seg
}

// busy draws a stream that is at work.
func (m *model) busy(t *rapid.T) int64 {
	var ids []int64
	for _, id := range slices.Sorted(maps.Keys(m.streams)) {
		if m.streams[id].state == store.StreamProcessing {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		t.Skip("no stream is at work")
	}
	return rapid.SampledFrom(ids).Draw(t, "stream")
}

// apply gives the segment of a stream at work, with new streams and records, to the
// store.
func (m *model) apply(t *rapid.T, id int64, end *store.StreamEnd) store.Applied {
	s := m.streams[id]
	seg := m.segment(id)
	seg.End = end
	for range rapid.IntRange(0, 2).Draw(t, "new streams") {
		seg.Streams = append(seg.Streams, store.NewStream{Ident: fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "ident")), Connector: "a"})
	}
	for range rapid.IntRange(0, 2).Draw(t, "records") {
		m.records++
		seg.Records = append(seg.Records, store.Record{Kind: "a", ExternalID: fmt.Sprint(m.records % 5), Data: fmt.Append(nil, m.records)})
	}
	a, err := m.db.Apply(m.Context(), seg)
	require.NoError(m, err)
	s.seq++
	m.runs[s.run].read += int64(len(seg.Records))
	require.Equal(m, a.Streams, m.learn(s.run, false))
	return a
}

func (m *model) checkpoint(t *rapid.T) { m.apply(t, m.busy(t), nil) }

func (m *model) endWell(t *rapid.T) {
	id := m.busy(t)
	m.finish(t, id, &store.StreamEnd{State: store.StreamProcessed, Answered: true})
}

func (m *model) end(t *rapid.T) {
	id := m.busy(t)
	end := &store.StreamEnd{Answered: rapid.Bool().Draw(t, "answered"), Attempt: rapid.Bool().Draw(t, "attempt")}
	end.State = rapid.SampledFrom([]store.StreamState{store.StreamPending, store.StreamDelayed, store.StreamError}).Draw(t, "end")
	switch end.State {
	case store.StreamDelayed:
		end.DueAt = m.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "delay")) * time.Second)
	case store.StreamPending:
		if rapid.Bool().Draw(t, "next page") {
			end.NextPage = fmt.Append(nil, m.streams[id].seq)
		}
	default:
		end.AbortRun = rapid.IntRange(0, 9).Draw(t, "abort") == 9
	}
	m.finish(t, id, end)
}

// finish ends the claim of a stream, and what follows for its run.
func (m *model) finish(t *rapid.T, id int64, end *store.StreamEnd) {
	s := m.streams[id]
	end.Next = rapid.IntRange(0, 3).Draw(t, "next")
	if rapid.Bool().Draw(t, "release") {
		end.Release = m.lane
	}
	a := m.apply(t, id, end)
	defer m.follow(s.run, end, a)
	s.state, s.due = end.State, m.now
	if end.State == store.StreamDelayed {
		s.due = end.DueAt
	}
	r := m.runs[s.run]
	r.planned = r.planned || s.plan && end.State == store.StreamProcessed
	if end.AbortRun || s.plan && end.State == store.StreamError {
		m.stop(s.run, store.RunError)
		return
	}
	m.settle(s.run)
}

// follow takes over what was claimed with the end of a stream, and that the lane was
// given back.
func (m *model) follow(run int64, end *store.StreamEnd, a store.Applied) {
	over := m.runs[run].state != store.RunProcessing
	require.Equal(m, over && end.Release != nil, a.Released)
	if over {
		require.Empty(m, a.Next)
		if a.Released {
			m.lose()
		}
		return
	}
	due := m.dueOf(run)
	require.Len(m, a.Next, min(end.Next, len(due)))
	require.Equal(m, len(due) < end.Next, a.Drained)
	for _, s := range a.Next {
		require.Contains(m, due, s.ID)
		m.streams[s.ID].state = store.StreamProcessing
		m.streams[s.ID].claim++
	}
}

func (m *model) release(t *rapid.T) {
	if m.lane == nil {
		t.Skip("not held")
	}
	require.NoError(m, m.db.ReleaseLane(m.Context(), *m.lane))
	m.lose()
}

// late applies what came of a claim that was lost: nothing is written.
func (m *model) late(t *rapid.T) {
	if len(m.old) == 0 {
		t.Skip("none was lost")
	}
	seg := rapid.SampledFrom(m.old).Draw(t, "segment")
	seg.Records = []store.Record{{Kind: "a", ExternalID: "late", Data: []byte("1")}}
	seg.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true}
	_, err := m.db.Apply(m.Context(), seg)
	require.ErrorIs(m, err, store.ErrStale)
}
