package sqlite

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jackfield/jackfield/store"
)

// modelStream is what the model knows of a stream.
type modelStream struct {
	run        int64
	plan       bool
	state      store.StreamState
	skipped    bool // by a person: it is not continued
	claim, seq int64
	due        time.Time
}

// modelRun is what the model knows of a run.
type modelRun struct {
	state          store.RunState
	begun, planned bool
	read           int64
}

// model is the engine's state machine without a database: an integration, its lane,
// runs and streams. Each command is given to it and to the store, which must come
// to the same.
type model struct {
	*rapid.T
	db      *DB
	dir     string
	now     time.Time
	enabled bool
	lane    *store.Lane // held by us
	runs    map[int64]*modelRun
	streams map[int64]*modelStream
	old     []store.Segment // of claims that we lost
	records int
}

// rows: I03, I04, I05, I06, K01, K09, K10, K12, C06, C07
func TestTheStoreDoesWhatTheModelDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{
			T: rt, dir: filepath.Join(t.TempDir(), "data"), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), enabled: true,
			runs: map[int64]*modelRun{}, streams: map[int64]*modelStream{},
		}
		m.open()
		defer func() { require.NoError(rt, m.db.Close()) }()
		require.NoError(rt, m.db.ApplyChanges(t.Context(), []store.Change{m.change(store.ChangeCreate)}))
		rt.Repeat(map[string]func(*rapid.T){
			"request": m.request, "claim the lane": m.claimLane, "work": m.work, "end a stream": m.end, "end one well": m.endWell,
			"checkpoint": m.checkpoint, "release": m.release, "crash": m.crash, "cancel": m.cancel, "continue": m.resume,
			"retry": m.retry, "skip": m.skip, "disable or enable": m.toggle, "time passes": m.pass, "come back late": m.late,
			"go on": m.goOn, "go on, too": m.goOn, "go on, again": m.goOn, "go on still": m.goOn, "go on once more": m.goOn,
			"": m.compare,
		})
	})
}

// goOn does what a host does next, so that runs get to their ends.
func (m *model) goOn(t *rapid.T) {
	run := m.openRun()
	switch {
	case run == 0:
		m.request(t)
	case m.lane == nil:
		m.claimLane(t)
	case len(m.of(run, func(s *modelStream) bool { return s.state == store.StreamProcessing })) > 0:
		m.endWell(t)
	default:
		m.work(t)
	}
}

func (m *model) open() {
	db, err := Open(m.Context(), Options{Path: m.dir, NoSync: true, Readers: 1, Now: func() time.Time { return m.now }})
	require.NoError(m, err)
	m.db = db
}

func (m *model) change(op store.ChangeOp) store.Change {
	return store.Change{Op: op, UID: "u", Spec: store.IntegrationSpec{
		Tenant: "acme", Name: "one", Plugin: "git", Connectors: []string{"a"}, Every: -1, Enabled: op != store.ChangeDisable,
	}}
}

// openRun returns the run that is not over, 0 if there is none.
func (m *model) openRun() int64 {
	for id, r := range m.runs {
		if !r.state.Terminal() {
			return id
		}
	}
	return 0
}

// of returns the streams of a run that match, in their order.
func (m *model) of(run int64, match func(*modelStream) bool) (ids []int64) {
	for _, id := range slices.Sorted(maps.Keys(m.streams)) {
		if s := m.streams[id]; s.run == run && match(s) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *model) dueOf(run int64) []int64 {
	r := m.runs[run]
	return m.of(run, func(s *modelStream) bool {
		waits := s.state == store.StreamPending || s.state == store.StreamDelayed
		return waits && s.plan == !r.planned && !s.due.After(m.now)
	})
}

// lose takes the lane away: what was at work waits again.
func (m *model) lose() {
	for id, s := range m.streams {
		if s.state == store.StreamProcessing {
			m.old = append(m.old, m.segment(id))
			s.state, s.due = store.StreamPending, m.now
		}
	}
	m.lane = nil
}

// settle ends a run that has nothing left.
func (m *model) settle(run int64) {
	r := m.runs[run]
	if r.state != store.RunProcessing || !r.planned {
		return
	}
	n := map[store.StreamState]int{}
	for _, id := range m.of(run, func(s *modelStream) bool { return !s.plan }) {
		n[m.streams[id].state]++
	}
	switch {
	case n[store.StreamPending]+n[store.StreamProcessing]+n[store.StreamDelayed] > 0:
	case n[store.StreamError] > 0 && n[store.StreamProcessed] == 0:
		r.state = store.RunError
	case n[store.StreamError] > 0:
		r.state = store.RunPartial
	default:
		r.state = store.RunProcessed
	}
}

// stop ends a run early; what is not done is cancelled.
func (m *model) stop(run int64, state store.RunState) {
	for _, id := range m.of(run, func(s *modelStream) bool { return !s.state.Terminal() }) {
		if s := m.streams[id]; s.state == store.StreamProcessing {
			m.old = append(m.old, m.segment(id))
		}
		m.streams[id].state, m.streams[id].skipped = store.StreamCancelled, false
	}
	m.runs[run].state = state
}

func (m *model) request(*rapid.T) {
	r, created, err := m.db.RequestRun(m.Context(), store.RunRequest{IntegrationID: 1, Kind: store.RunCheck})
	if !m.enabled {
		require.ErrorIs(m, err, store.ErrConflict)
		return
	}
	require.NoError(m, err)
	require.Equal(m, m.openRun() == 0, created)
	if created {
		m.runs[r.ID] = &modelRun{state: store.RunPending}
	}
	require.Equal(m, m.openRun(), r.ID)
}

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

func (m *model) crash(*rapid.T) {
	require.NoError(m, m.db.Close())
	m.lose()
	m.open()
}

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

func (m *model) pass(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "seconds")) * time.Second)
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

// compare looks at every run and stream, and for what must never be.
func (m *model) compare(*rapid.T) {
	runs, err := m.db.Runs(m.Context(), store.RunFilter{Limit: 1000})
	require.NoError(m, err)
	require.Len(m, runs, len(m.runs))
	for _, r := range runs {
		want := m.runs[r.ID]
		require.Equal(m, want.state, r.State, "run %d", r.ID)
		require.Equal(m, want.read, r.Stats.Read, "records of run %d", r.ID)
		streams, err := m.db.Streams(m.Context(), store.StreamFilter{RunID: r.ID, System: true, Limit: 1000})
		require.NoError(m, err)
		n := map[store.StreamState]int64{}
		for _, s := range streams {
			want := m.streams[s.ID]
			require.NotNil(m, want, "stream %d", s.ID)
			require.Equal(m, []any{want.state, want.claim, want.seq}, []any{s.State, s.Claim, s.Seq}, "stream %d of run %d", s.ID, r.ID)
			if !s.Type.System() {
				n[s.State]++
			}
		}
		require.Equal(m, store.StreamCounts{
			Pending: n[store.StreamPending], Processing: n[store.StreamProcessing], Delayed: n[store.StreamDelayed],
			Processed: n[store.StreamProcessed], Error: n[store.StreamError], Cancelled: n[store.StreamCancelled],
		}, r.Streams, "streams of run %d", r.ID)
	}
	found, err := m.db.VerifyCheap(m.Context())
	require.NoError(m, errors.Join(err))
	require.Empty(m, found)
}
