package runner_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
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

// rows: F27, K13, I11
//
// A tenant with a million pending streams, which may have as many at work as it
// likes, does not keep 999 others from starting within two ticks; nor do they stop
// it.
func TestNoisyNeighbour(t *testing.T) {
	t.Parallel()
	streams, tenants := 1_000_000, 999
	if testing.Short() {
		streams, tenants = 20_000, 60
	}
	dir := filepath.Join(t.TempDir(), "data")
	for name, c := range map[string]struct {
		slots, streams, lanes int
		call                  time.Duration
	}{
		"ManySlots": {0, streams, 40, 800 * time.Millisecond},    // 999 of them on the nine of twelve places that others leave: 89 s
		"OneSlot":   {1, streams / 10, 0, 10 * time.Millisecond}, // the quantum alone is between them
	} {
		t.Run(name, func(t *testing.T) {
			n := &neighbours{
				t: t, dir: filepath.Join(dir, name), streams: c.streams, tenants: tenants, lanes: c.lanes, call: c.call, slots: c.slots,
				began: map[string]time.Duration{}, taken: map[int64]bool{},
			}
			synctest.Test(t, func(*testing.T) { n.live() })
			require.Len(t, n.began, tenants)
			last := time.Duration(0)
			for _, took := range n.began {
				last = max(last, took)
			}
			t.Logf("proof: noisy neighbour: %s: beside %d pending streams the last of %d tenants started after %s; the noisy one made %d calls meanwhile",
				name, c.streams, tenants, last, n.noisy)
			require.LessOrEqual(t, last, 2*time.Minute)
			require.Positive(t, n.noisy)
			require.LessOrEqual(t, n.most, max(1, 32/4), "lanes of the noisy one while others wait")
			require.Positive(t, n.most)
		})
	}
}

// neighbours are a thousand tenants of one plugin.
type neighbours struct {
	t       *testing.T
	dir     string
	streams int           // of the noisy one
	tenants int           // quiet ones
	lanes   int           // of the noisy one, besides that with the streams
	call    time.Duration // how long each takes
	slots   int
	start   time.Time

	mu    sync.Mutex               // guards what follows
	began map[string]time.Duration // first calls of the quiet ones, by the stream's name
	noisy int
	taken map[int64]bool // the quiet ones' lanes
	at    int            // the noisy one's lanes at work
	most  int            // of these, while others waited
}

// work counts the lanes of the noisy tenant while there are more quiet ones left than
// are begun at once.
func (n *neighbours) work(r *runner.Runner) scheduler.Work {
	return func(ctx context.Context, l store.Lane, h *scheduler.Hold) error {
		if l.TenantID != 1 {
			n.mu.Lock()
			n.taken[l.ID] = true
			n.mu.Unlock()
			return r.Work(ctx, l, h)
		}
		n.mu.Lock()
		n.at++
		if n.tenants-len(n.taken) > 32 {
			n.most = max(n.most, n.at)
		}
		n.mu.Unlock()
		defer func() {
			n.mu.Lock()
			n.at--
			n.mu.Unlock()
		}()
		return r.Work(ctx, l, h)
	}
}

// crowd gives the noisy tenant more lanes, each with streams of its own.
func (n *neighbours) crowd(ctx context.Context, db *sqlite.DB) {
	for k := range n.lanes {
		c := neighbour(0)
		c.UID, c.Spec.Name, c.Sync = fmt.Sprintf("%016x", 1_000_000+k), fmt.Sprintf("more%d", k), false
		require.NoError(n.t, db.ApplyChanges(ctx, []store.Change{c}))
		i, err := db.IntegrationByUID(ctx, c.UID)
		require.NoError(n.t, err)
		_, _, err = db.RequestRun(ctx, store.RunRequest{
			IntegrationID: i.ID, Class: store.ClassPull, Kind: store.RunOnboarding, Params: map[string]string{"noisy": "yes"}, ParamsSum: "noisy",
		})
		require.NoError(n.t, err)
	}
}

// live has them work until all have begun, or two ticks are over.
func (n *neighbours) live() {
	ctx := context.Background()
	n.disturb()
	db := n.open()
	n.crowd(ctx, db)
	var changes []store.Change
	for i := range n.tenants {
		changes = append(changes, neighbour(i+1))
	}
	require.NoError(n.t, db.ApplyChanges(ctx, changes))
	s := &script{process: n.process}
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		if call.Run.Params["noisy"] != "" {
			return n.plan(ctx, call, out)
		}
		return out.Stream(ctx, sdk.Stream{ID: "quiet-" + call.Run.ID, Connector: "things"})
	}
	s.manifest.Name, s.manifest.Version = "script", "1.0.0"
	s.manifest.Limits = sdk.Limits{Concurrency: 16, PerRun: 4}
	r := runner.New(db, s, openVault{}, runner.Options{})
	sched := scheduler.New(db, n.work(r),
		scheduler.Options{Slots: n.slots, Plugins: func() []string { return []string{"script"} }, Wake: db.Wakes()})
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	n.start = time.Now()
	go func() { ended <- sched.Run(working) }()
	for time.Since(n.start) < 3*time.Minute {
		time.Sleep(time.Second) // the bubble's clock
		n.mu.Lock()
		all := len(n.began) == n.tenants
		n.mu.Unlock()
		if all {
			break
		}
	}
	stop()
	require.NoError(n.t, <-ended)
	require.NoError(n.t, db.Close())
}

func (*neighbours) plan(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
	for k := range 200 {
		if err := out.Stream(ctx, sdk.Stream{ID: fmt.Sprintf("n-%s-%d", call.Run.ID, k), Connector: "things"}); err != nil {
			return err
		}
	}
	return nil
}

func (n *neighbours) process(_ context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
	n.mu.Lock()
	if call.Stream.ID[0] == 'q' {
		if _, again := n.began[call.Stream.ID]; !again {
			n.began[call.Stream.ID] = time.Since(n.start)
		}
	} else {
		n.noisy++
	}
	n.mu.Unlock()
	time.Sleep(n.call) // the bubble's clock
	return sdk.Outcome{}, nil
}

func (n *neighbours) open() *sqlite.DB {
	db, err := sqlite.Open(context.Background(), sqlite.Options{Path: n.dir, NoSync: true})
	require.NoError(n.t, err)
	return db
}

func neighbour(n int) store.Change {
	return store.Change{Op: store.ChangeCreate, UID: fmt.Sprintf("%016x", n), Sync: true, Spec: store.IntegrationSpec{
		Tenant: fmt.Sprintf("t%d", n), Name: "one", Plugin: "script", Connectors: []string{"things"}, Every: -1,
		Concurrency: 1000, Enabled: true, Settings: []byte(`{}`), SettingsSum: []byte("s"),
	}}
}

// disturb makes the noisy tenant: its run is planned by the store's own means, with
// one stream, of which a statement makes a million.
func (n *neighbours) disturb() {
	ctx := context.Background()
	db := n.open()
	require.NoError(n.t, db.ApplyChanges(ctx, []store.Change{neighbour(0)}))
	run, _, err := db.RequestRun(ctx, store.RunRequest{IntegrationID: 1, Class: store.ClassPull, Kind: store.RunOnboarding})
	require.NoError(n.t, err)
	lanes, err := db.ClaimLanes(ctx, store.LaneClaim{Plugins: []string{"script"}, Limit: 1, Lease: time.Minute})
	require.NoError(n.t, err)
	require.Len(n.t, lanes, 1)
	_, err = db.BeginRun(ctx, lanes[0].Ref(), run.ID, store.RunBegin{})
	require.NoError(n.t, err)
	plan, err := db.ClaimStreams(ctx, lanes[0].Ref(), run.ID, 1)
	require.NoError(n.t, err)
	require.Len(n.t, plan, 1)
	_, err = db.Apply(ctx, store.Segment{
		Lane: lanes[0].Ref(), Generation: lanes[0].Generation, RunID: run.ID, StreamID: plan[0].ID, Claim: plan[0].Claim, Seq: plan[0].Seq,
		Streams: []store.NewStream{{Ident: "n0", Connector: "things"}}, End: &store.StreamEnd{State: store.StreamProcessed, Answered: true},
	})
	require.NoError(n.t, err)
	require.NoError(n.t, db.ReleaseLane(ctx, lanes[0]))
	require.NoError(n.t, db.Close())

	raw, err := sql.Open("sqlite", "file:"+filepath.Join(n.dir, "jackfield.db")+"?_pragma=synchronous(off)&_pragma=cache_size(-65536)")
	require.NoError(n.t, err)
	defer func() { require.NoError(n.t, raw.Close()) }()
	raw.SetMaxOpenConns(1)
	_, err = raw.ExecContext(ctx, `
		WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < $1)
		INSERT INTO streams (run_id, integration_id, depth, type, phase, connector, ident, limit_key, state, due_at, created_at, updated_at)
		SELECT run_id, integration_id, depth, type, phase, connector, 'n' || more.n, limit_key, state, due_at, created_at, updated_at
		FROM   streams, more
		WHERE  ident = 'n0'`, n.streams-1)
	require.NoError(n.t, err)
	_, err = raw.ExecContext(ctx, "UPDATE runs SET n_pending = $1", n.streams)
	require.NoError(n.t, err)
}
