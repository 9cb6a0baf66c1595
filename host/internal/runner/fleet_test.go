package runner_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/scheduler"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// fleetHost is a scheduler and a runner, and the store as they see it: nothing of a
// frozen host reaches it before it thaws, nothing at all of a dead one.
type fleetHost struct {
	*sqlite.DB
	f     *fleet
	stop  context.CancelFunc
	ended chan struct{}

	mu     sync.Mutex // guards what follows
	thaws  time.Time
	killed bool
}

var errKilled = errors.New("the host was killed")

func (f *fleet) launch() {
	h := &fleetHost{DB: f.db, f: f, ended: make(chan struct{})}
	r := runner.New(h, f.plugin, openVault{}, runner.Options{})
	s := scheduler.New(h, func(ctx context.Context, l store.Lane, hold *scheduler.Hold) error { return r.Work(ctx, l, hold) }, scheduler.Options{
		Slots: 4, Lease: fleetLease, Plugins: func() []string { return []string{"script"} }, Wake: f.db.Wakes(),
	})
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	f.mu.Lock()
	f.hosts = append(f.hosts, h)
	f.mu.Unlock()
	go func() {
		defer close(h.ended)
		_ = s.Run(ctx) // a dead host's errors are its own
	}()
}

// kill lets a host do nothing more, and starts another one.
func (f *fleet) kill(n int) {
	h := f.hosts[n]
	h.mu.Lock()
	again := h.killed
	h.killed = true
	h.mu.Unlock()
	if again {
		return
	}
	h.stop()
	f.mu.Lock()
	f.kills++
	f.mu.Unlock()
	f.launch()
}

// gate waits while the host is frozen. Now and then it freezes here, for longer than
// its leases.
func (h *fleetHost) gate(freezes bool) error {
	h.f.mu.Lock()
	freeze := freezes && h.f.random.IntN(12) == 0
	span := fleetLease + time.Duration(h.f.random.IntN(5000))*time.Millisecond
	if freeze {
		h.f.freezes++
	}
	h.f.mu.Unlock()
	h.mu.Lock()
	if freeze {
		h.thaws = time.Now().Add(span)
	}
	h.mu.Unlock()
	for {
		h.mu.Lock()
		thaws, killed := h.thaws, h.killed
		h.mu.Unlock()
		if killed {
			return errKilled
		}
		left := time.Until(thaws)
		if left <= 0 {
			return nil
		}
		time.Sleep(left) // the bubble's clock
	}
}

// lane returns the lane as it is now, and whether ref still holds it.
func (h *fleetHost) lane(ctx context.Context, ref store.LaneRef) (now store.LaneRef, generation int64, held bool) {
	var owner sql.NullString
	now.ID = ref.ID
	err := h.f.raw.QueryRowContext(context.WithoutCancel(ctx), `
		SELECT l.owner, l.fence, i.generation FROM lanes l JOIN integrations i ON i.id = l.integration_id WHERE l.id = $1`, ref.ID).
		Scan(&owner, &now.Fence, &generation)
	require.NoError(h.f.t, err)
	now.Owner = owner.String
	return now, generation, now == ref
}

// forge returns the claim of the lane that the store is shown.
func (h *fleetHost) forge(ctx context.Context, ref store.LaneRef) (shown store.LaneRef, held bool) {
	now, _, held := h.lane(ctx, ref)
	if h.f.guards.fence {
		return ref, held
	}
	return now, held
}

// judge notes what came of something that a host did without its lane.
func (h *fleetHost) judge(held bool, err error, what ...string) {
	if held {
		return
	}
	if err != nil {
		h.f.mu.Lock()
		h.f.refused++
		h.f.mu.Unlock()
		return
	}
	for _, w := range what {
		h.f.hurt(w, "by a host that had lost its lane")
	}
}

func (h *fleetHost) Apply(ctx context.Context, seg store.Segment) (store.Applied, error) {
	if err := h.gate(true); err != nil {
		return store.Applied{}, err
	}
	now, generation, held := h.lane(ctx, seg.Lane)
	if !h.f.guards.fence {
		seg.Lane, seg.Generation = now, generation
	}
	if !h.f.guards.state {
		st, err := h.Stream(ctx, seg.StreamID)
		require.NoError(h.f.t, err)
		seg.Claim, seg.Seq = st.Claim, st.Seq
	}
	done, err := h.DB.Apply(ctx, seg)
	what := []string{"page", "counters"}
	if seg.Cursor != nil {
		what = append(what, "cursor")
	}
	if len(seg.Throttles) > 0 {
		what = append(what, "limits")
	}
	h.judge(held, err, what...)
	return done, err
}

func (h *fleetHost) ClaimStreams(ctx context.Context, l store.LaneRef, run int64, n int) ([]store.Stream, error) {
	if err := h.gate(true); err != nil {
		return nil, err
	}
	shown, held := h.forge(ctx, l)
	streams, err := h.DB.ClaimStreams(ctx, shown, run, n)
	if len(streams) > 0 || err != nil {
		h.judge(held, err, "claim")
	}
	return streams, err
}

func (h *fleetHost) BeginRun(ctx context.Context, l store.LaneRef, run int64, b store.RunBegin) (store.Run, error) {
	if err := h.gate(true); err != nil {
		return store.Run{}, err
	}
	shown, held := h.forge(ctx, l)
	r, err := h.DB.BeginRun(ctx, shown, run, b)
	h.judge(held, err, "begin")
	return r, err
}

func (h *fleetHost) ReleaseLane(ctx context.Context, l store.Lane) error {
	if err := h.gate(false); err != nil {
		return err
	}
	shown, held := h.forge(ctx, l.Ref())
	l.Owner, l.Fence = shown.Owner, shown.Fence
	err := h.DB.ReleaseLane(ctx, l)
	h.judge(held, err, "release")
	return err
}

func (h *fleetHost) RenewLanes(ctx context.Context, refs []store.LaneRef, lease time.Duration) (map[int64]int64, error) {
	if err := h.gate(false); err != nil {
		return nil, err
	}
	return h.DB.RenewLanes(ctx, refs, lease)
}

func (h *fleetHost) ClaimLanes(ctx context.Context, c store.LaneClaim) ([]store.Lane, error) {
	if err := h.gate(false); err != nil {
		return nil, err
	}
	return h.DB.ClaimLanes(ctx, c)
}

func (h *fleetHost) NextRun(ctx context.Context, l store.Lane) (store.Run, bool, error) {
	if err := h.gate(true); err != nil {
		return store.Run{}, false, err
	}
	shown, _ := h.forge(ctx, l.Ref())
	l.Owner, l.Fence = shown.Owner, shown.Fence
	return h.DB.NextRun(ctx, l)
}
