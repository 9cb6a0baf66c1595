package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/scheduler"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// script is a plugin whose calls the test writes. It runs in process.
type script struct {
	manifest    sdk.Manifest
	preprocess  func(ctx context.Context, run sdk.Run) ([]byte, error)
	plan        func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error
	process     func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error)
	allowed     func(ctx context.Context, call sdk.AllowedCall) (sdk.Verdict, error)
	finished    func(ctx context.Context, call sdk.FinishedCall) (bool, error)
	postprocess func(ctx context.Context, run sdk.Run) (map[string][]byte, error)
	attributes  func(ctx context.Context) []sdk.Attribute
	reach       func() error // asked before each call; nil: it can be called

	mu     sync.Mutex
	called []string // the calls of streams, as "id page attempt"
	opened []sdk.Integration
	alone  []string // integrations of calls that were made alone
	drops  int      // instances that are to be opened anew
}

var (
	errDied   = errors.New("the process is gone")
	errReopen = errors.New("unknown handle")
	errAway   = errors.New("no process takes calls")
)

func (s *script) Preprocess(ctx context.Context, run sdk.Run) ([]byte, error) {
	return s.preprocess(ctx, run)
}

func (s *script) GetStreams(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
	return s.plan(ctx, call, out)
}

func (s *script) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	s.mu.Lock()
	s.called = append(s.called, fmt.Sprintf("%s %s %d", call.Stream.ID, call.Page, call.Attempt))
	s.mu.Unlock()
	return s.process(ctx, call, out)
}

func (s *script) Allowed(ctx context.Context, call sdk.AllowedCall) (sdk.Verdict, error) {
	return s.allowed(ctx, call)
}

func (s *script) IsProcessingFinished(ctx context.Context, call sdk.FinishedCall) (bool, error) {
	return s.finished(ctx, call)
}

func (s *script) Postprocess(ctx context.Context, run sdk.Run) (map[string][]byte, error) {
	return s.postprocess(ctx, run)
}

func (s *script) CreateAttributes(ctx context.Context) ([]sdk.Attribute, error) {
	return s.attributes(ctx), nil
}

func (s *script) calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.called...)
}

// Manifest implements runner.Plugins.
func (s *script) Manifest(name string) (sdk.Manifest, bool) {
	m := s.manifest
	m.Name = name
	return m, true
}

// openedBy returns the names of the integrations that were opened, in order.
func (s *script) openedBy() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.opened {
		names = append(names, in.Name)
	}
	return names
}

// Acquire implements runner.Plugins.
func (s *script) Acquire(_ context.Context, _ string, in sdk.Integration) (runner.Plugin, error) {
	if s.reach != nil {
		if err := s.reach(); err != nil {
			return runner.Plugin{}, err
		}
	}
	s.mu.Lock()
	s.opened = append(s.opened, in)
	s.mu.Unlock()
	return runner.Plugin{Instance: s, Manifest: s.manifest, Release: s.release}, nil
}

func (s *script) release(drop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if drop {
		s.drops++
	}
}

// AcquireAlone implements runner.Plugins.
func (s *script) AcquireAlone(ctx context.Context, name string, in sdk.Integration) (runner.Plugin, error) {
	s.mu.Lock()
	s.alone = append(s.alone, in.Name)
	s.mu.Unlock()
	return s.Acquire(ctx, name, in)
}

func (*script) Lost(err error) bool   { return errors.Is(err, errDied) }
func (*script) Reopen(err error) bool { return errors.Is(err, errReopen) }
func (*script) Away(err error) bool   { return errors.Is(err, errAway) }

// openVault keeps settings in clear.
type openVault struct{}

func (openVault) Settings(in store.Integration) ([]byte, error) { return in.Settings, nil }

func (openVault) MergePatch(in store.Integration, changes map[string][]byte) ([]byte, error) {
	patch := map[string]json.RawMessage{}
	if len(in.Patch) > 0 {
		if err := json.Unmarshal(in.Patch, &patch); err != nil {
			return nil, err
		}
	}
	for key, value := range changes {
		patch[key] = value
	}
	return json.Marshal(patch)
}
func (openVault) Seal(p []byte, _ ...string) ([]byte, error) { return p, nil }
func (openVault) Open(s []byte, _ ...string) ([]byte, error) { return s, nil }

// world is a host without processes: real store, real scheduler, real runner, a
// scripted plugin, and the bubble's clock.
type world struct {
	t        *testing.T
	dir      string
	plugin   *script
	opts     runner.Options
	every    int
	conc     int
	conns    []string // connectors of the integrations to create; things if nil
	warn     bool     // log_warnings
	page     int      // page_size
	types    store.TypePolicy
	limit    store.RecordLimit
	plugName string         // of the integrations to create
	slots    int            // lanes at once; as many as there are by default, if zero
	meddle   meddler        // with every apply, if not nil
	vault    runner.Vault   // openVault if nil
	plugins  runner.Plugins // plugin if nil

	skew   atomic.Int64 // of the host's clock, in nanoseconds
	onWork func(l store.Lane)
	works  atomic.Int32 // claims of lanes
	asked  atomic.Int32 // for due streams, in a turn of the writer
	claims int32        // that are not too many, if more than spinning

	db    *sqlite.DB
	stop  context.CancelFunc
	ended chan error
	sched *scheduler.Scheduler
}

// meddler stands between the runner and the store.
type meddler func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error)

// meddled is a store with a meddler.
type meddled struct {
	*sqlite.DB
	meddle meddler
	asked  *atomic.Int32
}

func (m *meddled) ClaimStreams(ctx context.Context, l store.LaneRef, run int64, n int) ([]store.Stream, error) {
	m.asked.Add(1)
	return m.DB.ClaimStreams(ctx, l, run, n)
}

func (m *meddled) Apply(ctx context.Context, seg store.Segment) (store.Applied, error) {
	if m.meddle == nil {
		return m.DB.Apply(ctx, seg)
	}
	return m.meddle(ctx, seg, m.DB.Apply)
}

// spinning is how many claims a test may make.
const spinning = 3000

// long leaves out a test that lets hours of the bubble's clock pass: under the
// race detector, which runs the short ones, it takes minutes. make test has it.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes minutes under the race detector")
	}
}

// inWorld runs a test in a bubble. The integration acme/one is made by it.
func inWorld(t *testing.T, s *script, test func(t *testing.T, w *world)) {
	t.Helper()
	s.manifest.Name, s.manifest.Version = "script", "1.0.0"
	if s.manifest.Limits.PerRun == 0 {
		s.manifest.Limits.PerRun = 4
	}
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: filepath.Join(t.TempDir(), "data"), plugin: s, every: -1, plugName: "script"}
		test(t, w)
		if w.db != nil {
			w.down()
		}
	})
}

// now is the host's clock, which may be wrong.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) }

// up starts the host. The first time it makes the integration.
func (w *world) up() {
	w.t.Helper()
	var err error
	w.db, err = sqlite.Open(context.Background(), sqlite.Options{Path: w.dir, Now: w.now, OnRevoke: func(ids []int64) { w.sched.Revoke(ids) }})
	require.NoError(w.t, err)
	w.opts.Now = w.now
	if w.plugins == nil {
		w.plugins = w.plugin
	}
	if w.vault == nil {
		w.vault = openVault{}
	}
	r := runner.New(&meddled{w.db, w.meddle, &w.asked}, w.plugins, w.vault, w.opts)
	w.sched = scheduler.New(w.db, func(ctx context.Context, l store.Lane, h *scheduler.Hold) error {
		if w.works.Add(1) > max(w.claims, spinning) {
			return errors.New("the lane spins") // in a bubble no time would pass
		}
		if w.onWork != nil {
			w.onWork(l)
		}
		return r.Work(ctx, l, h)
	}, scheduler.Options{Slots: w.slots, Plugins: func() []string { return []string{"script", "other"} }, Wake: w.db.Wakes(), Now: w.now})
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.ended = stop, make(chan error, 1)
	go func() { w.ended <- w.sched.Run(ctx) }()
	if have, err := w.db.Integrations(context.Background(), store.IntegrationFilter{}); err == nil && len(have) == 0 {
		w.create("one")
	}
}

// create declares an integration that is synced at once.
func (w *world) create(name string) {
	w.t.Helper()
	connectors := w.conns
	if connectors == nil {
		connectors = []string{"things"}
	}
	require.NoError(w.t, w.db.ApplyChanges(context.Background(), []store.Change{{
		Op: store.ChangeCreate, UID: fmt.Sprintf("%016x", len(name)*1000+int(name[0])), Sync: true,
		Spec: store.IntegrationSpec{
			Tenant: "acme", Name: name, Plugin: w.plugName, Connectors: connectors,
			Every: w.every, Concurrency: w.conc, LogWarnings: w.warn, PageSize: w.page, OnTypeChange: w.types, Limit: w.limit, Enabled: true, Settings: []byte(`{}`), SettingsSum: []byte("s"),
		},
	}}))
}

// down stops the host as SIGTERM does.
func (w *world) down() {
	w.t.Helper()
	w.stop()
	require.NoError(w.t, <-w.ended)
	require.NoError(w.t, w.db.Close())
	w.db = nil
}

// nextCheck returns when the first integration is checked next.
func (w *world) nextCheck() time.Time {
	w.t.Helper()
	in, err := w.db.IntegrationByID(context.Background(), 1)
	require.NoError(w.t, err)
	return in.NextCheckAt
}

// run returns the newest run.
func (w *world) run() store.Run {
	w.t.Helper()
	runs, err := w.db.Runs(context.Background(), store.RunFilter{Limit: 1})
	require.NoError(w.t, err)
	require.NotEmpty(w.t, runs)
	return runs[0]
}

// until lets time pass until the newest run is in one of the states.
func (w *world) until(states ...store.RunState) store.Run {
	w.t.Helper()
	deadline := time.Now().Add(3 * time.Hour)
	for time.Now().Before(deadline) {
		synctest.Wait()
		runs, err := w.db.Runs(context.Background(), store.RunFilter{Limit: 1})
		require.NoError(w.t, err)
		if len(runs) > 0 {
			if slices.Contains(states, runs[0].State) {
				return runs[0]
			}
		}
		time.Sleep(200 * time.Millisecond) // the bubble's clock
	}
	require.Failf(w.t, "the run did not get there", "%+v", w.run())
	return store.Run{}
}

func (w *world) records() map[string]string {
	w.t.Helper()
	rs, err := w.db.Records(context.Background(), store.RecordFilter{Limit: 1000, Deleted: true})
	require.NoError(w.t, err)
	out := map[string]string{}
	for _, r := range rs {
		out[r.ExternalID] = string(r.Data)
	}
	return out
}

func (w *world) streams() map[string]store.Stream {
	w.t.Helper()
	ss, err := w.db.Streams(context.Background(), store.StreamFilter{RunID: w.run().ID, System: true, Limit: 1000})
	require.NoError(w.t, err)
	out := map[string]store.Stream{}
	for _, s := range ss {
		out[s.Ident] = s
	}
	return out
}

// planOf returns a plan of root streams.
func planOf(ids ...string) func(context.Context, sdk.PlanCall, *sdk.Emitter) error {
	return func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		for _, id := range ids {
			if err := out.Stream(ctx, sdk.Stream{ID: id, Connector: "things", Partition: id}); err != nil {
				return err
			}
		}
		return nil
	}
}

// thing emits one record.
func thing(ctx context.Context, out *sdk.Emitter, id string) error {
	return out.Record(ctx, sdk.Record{Kind: "thing", ID: id, Data: []byte(`{"id":"` + id + `"}`)})
}
