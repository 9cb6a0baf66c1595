package sqlite

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync/atomic"
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
	clock   atomic.Int64 // now in milliseconds, for the store: its writer may ask beside the test
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
	m.clock.Store(m.now.UnixMilli())
	db, err := Open(m.Context(), Options{Path: m.dir, NoSync: true, Readers: 1, Now: func() time.Time { return time.UnixMilli(m.clock.Load()).UTC() }})
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

func (m *model) crash(*rapid.T) {
	require.NoError(m, m.db.Close())
	m.lose()
	m.open()
}

func (m *model) pass(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "seconds")) * time.Second)
	m.clock.Store(m.now.UnixMilli())
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
