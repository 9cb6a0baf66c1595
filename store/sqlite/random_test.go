package sqlite

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// host is a host that works on what there is, at random.
type host struct {
	t     *testing.T
	rnd   *rand.Rand
	db    *DB
	mu    sync.Mutex // guards now
	now   time.Time
	lanes map[int64]store.Lane
	// held are the streams by run and the lanes they were claimed under.
	held map[int64]store.Segment
	ids  int
}

// rows: I03, I04, I05, I06, K09, K10, C06, C07
func TestWhateverHappensTheBooksBalance(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			h := &host{
				t: t, rnd: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
				lanes: make(map[int64]store.Lane), held: make(map[int64]store.Segment),
			}
			h.db = openTemp(t, Options{NoSync: true, Now: h.time})
			for n := range 3 {
				require.NoError(t, h.db.ApplyChanges(t.Context(), []store.Change{h.change(n, store.ChangeCreate)}))
			}
			for step := range 400 {
				h.step()
				h.check(step)
			}
		})
	}
}

// time is the store's clock. Its writer may ask for it beside the test.
func (h *host) time() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *host) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *host) change(n int, op store.ChangeOp) store.Change {
	return store.Change{Op: op, UID: fmt.Sprint(n), Sync: h.rnd.IntN(2) == 0, Spec: store.IntegrationSpec{
		Tenant: "acme", Name: fmt.Sprint(n), Plugin: "git", Connectors: []string{"a", "b"}, Every: h.rnd.IntN(5) - 1,
		Enabled: op != store.ChangeDisable, SettingsSum: []byte{byte(h.rnd.IntN(3))},
	}}
}

// step does one thing. What is refused is part of the game, what breaks is not.
func (h *host) step() {
	var err error
	ctx := h.t.Context()
	integration := int64(h.rnd.IntN(3) + 1)
	run := int64(h.rnd.IntN(max(1, h.ids)) + 1)
	switch h.rnd.IntN(16) {
	case 0:
		if h.rnd.IntN(4) == 0 { // the host ends in the middle, and another starts
			require.NoError(h.t, h.db.Close())
			h.db = openTemp(h.t, Options{Path: h.db.Path(), NoSync: true, Now: h.time})
		}
	case 1:
		h.later(time.Duration(h.rnd.IntN(90)) * time.Second)
	case 2, 3:
		lanes, e := h.db.ClaimLanes(ctx, store.LaneClaim{Plugins: []string{"git"}, Limit: 2, Lease: time.Minute})
		for _, l := range lanes {
			h.lanes[l.ID] = l
		}
		err = e
	case 4:
		req := store.RunRequest{IntegrationID: integration, Kind: store.RunCheck, Force: h.rnd.IntN(4) == 0, Replace: h.rnd.IntN(8) == 0}
		if h.rnd.IntN(3) == 0 {
			req.Kind, req.ParamsSum = store.RunManual, fmt.Sprint(h.rnd.IntN(2))
		} else if h.rnd.IntN(2) == 0 {
			req.Scheduled, req.NextCheckAt = true, h.time().Add(time.Minute)
		}
		r, _, e := h.db.RequestRun(ctx, req)
		h.ids = max(h.ids, int(r.ID))
		err = e
	case 5, 6, 7:
		err = h.work()
	case 8, 9, 10, 11:
		err = h.apply()
	case 12:
		if id, ok := pick(h.rnd, h.lanes); ok {
			err = h.db.ReleaseLane(ctx, h.lanes[id])
			delete(h.lanes, id)
		}
	case 13:
		switch h.rnd.IntN(3) {
		case 0:
			_, err = h.db.CancelRun(ctx, run, "random")
		default:
			_, err = h.db.ContinueRun(ctx, run)
		}
	case 14:
		streams, e := h.db.Streams(ctx, store.StreamFilter{RunID: run})
		if err = e; len(streams) > 0 {
			s := streams[h.rnd.IntN(len(streams))]
			if h.rnd.IntN(2) == 0 {
				_, err = h.db.RetryStream(ctx, s.ID)
			} else {
				_, err = h.db.SkipStream(ctx, s.ID, "random")
			}
		}
	case 15:
		op := []store.ChangeOp{store.ChangeUpdate, store.ChangeUpdate, store.ChangeDisable, store.ChangeRemove, store.ChangeRestore}[h.rnd.IntN(5)]
		err = h.db.ApplyChanges(ctx, []store.Change{h.change(int(integration)-1, op)})
	}
	if !errors.Is(err, store.ErrStale) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrInvalid) {
		require.NoError(h.t, err)
	}
}

// work begins the next run of a lane and claims of it.
func (h *host) work() error {
	id, ok := pick(h.rnd, h.lanes)
	if !ok {
		return nil
	}
	l := h.lanes[id]
	r, ok, err := h.db.NextRun(h.t.Context(), l)
	if err != nil || !ok {
		return err
	}
	if _, err := h.db.BeginRun(h.t.Context(), l.Ref(), r.ID, store.RunBegin{
		Preprocess: r.ID%2 == 0, Postprocess: r.ID%3 == 0,
	}); err != nil {
		return err
	}
	streams, err := h.db.ClaimStreams(h.t.Context(), l.Ref(), r.ID, 1+h.rnd.IntN(3))
	for _, s := range streams {
		h.held[s.ID] = store.Segment{Lane: l.Ref(), Generation: l.Generation, RunID: r.ID, StreamID: s.ID, Claim: s.Claim, Seq: s.Seq}
	}
	return err
}

// pick returns a key of m, the same one for the same seed.
func pick[V any](rnd *rand.Rand, m map[int64]V) (int64, bool) {
	if len(m) == 0 {
		return 0, false
	}
	return slices.Sorted(maps.Keys(m))[rnd.IntN(len(m))], true
}

// apply applies something for a stream that was claimed at some time.
func (h *host) apply() error {
	id, ok := pick(h.rnd, h.held)
	if !ok {
		return nil
	}
	seg := h.held[id]
	for range h.rnd.IntN(3) {
		seg.Records = append(seg.Records, store.Record{Kind: "a", ExternalID: fmt.Sprint(h.rnd.IntN(8)), Data: fmt.Append(nil, h.rnd.IntN(5))})
	}
	if h.rnd.IntN(2) == 0 {
		seg.Streams = []store.NewStream{{Ident: fmt.Sprint(h.rnd.IntN(6)), Connector: []string{"a", "b"}[h.rnd.IntN(2)]}}
	}
	if h.rnd.IntN(5) > 0 {
		end := &store.StreamEnd{Answered: h.rnd.IntN(4) > 0, Attempt: h.rnd.IntN(2) == 0, AbortRun: h.rnd.IntN(20) == 0}
		end.State = []store.StreamState{
			store.StreamProcessed, store.StreamProcessed, store.StreamPending, store.StreamDelayed, store.StreamError,
		}[h.rnd.IntN(5)]
		if end.State == store.StreamDelayed {
			end.DueAt = h.time().Add(time.Duration(h.rnd.IntN(120)) * time.Second)
		}
		if end.State == store.StreamPending && h.rnd.IntN(2) == 0 {
			end.NextPage = fmt.Append(nil, h.rnd.Uint64())
		}
		if h.rnd.IntN(8) == 0 {
			end.SleepUntil = h.time().Add(time.Minute)
		}
		if h.rnd.IntN(8) == 0 {
			seg.Throttles = []store.Throttle{{Plugin: "git", Until: h.time().Add(30 * time.Second)}}
		}
		end.Next = h.rnd.IntN(3)
		if l, ok := h.lanes[h.laneOf(seg)]; ok && h.rnd.IntN(2) == 0 {
			end.Release = &l
		}
		seg.End = end
		delete(h.held, id)
	}
	a, err := h.db.Apply(h.t.Context(), seg)
	if seg.End == nil {
		seg.Seq, seg.Records, seg.Streams = a.Seq, nil, nil
		h.held[id] = seg
	}
	if err != nil {
		delete(h.held, id)
	}
	for _, s := range a.Next {
		h.held[s.ID] = store.Segment{Lane: seg.Lane, Generation: seg.Generation, RunID: seg.RunID, StreamID: s.ID, Claim: s.Claim, Seq: s.Seq}
	}
	if a.Released {
		delete(h.lanes, seg.Lane.ID)
	}
	return err
}

// laneOf returns the lane of a segment, 0 if its claim is an old one.
func (h *host) laneOf(seg store.Segment) int64 {
	if h.lanes[seg.Lane.ID].Ref() != seg.Lane {
		return 0
	}
	return seg.Lane.ID
}

// check looks for what must never be: at all that there is now and then, at what is
// under way after each step.
func (h *host) check(step int) {
	found, err := h.db.VerifyCheap(h.t.Context())
	require.NoError(h.t, err)
	require.Empty(h.t, found, "step %d", step)
	if step%25 == 0 {
		found, err = h.db.Verify(h.t.Context())
		require.NoError(h.t, err)
		require.Empty(h.t, found, "step %d", step)
	}
}
