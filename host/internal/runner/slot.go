package runner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// maxSlots bounds how many names slots are held under at once.
const maxSlots = 100_000

// slots counts the calls in flight by name, for all of the daemon.
type slots struct {
	mu    sync.Mutex // guards what follows
	names map[bucketKey]*slot
}

// slot is what is held of one name. Those who wait are served in their order.
type slot struct {
	held    int
	waiting []*slotWait
}

// slotWait is one who waits. given is closed when it has the slot.
type slotWait struct {
	limit int
	given chan struct{}
}

// Slot implements sdk.Host. What the plugin does not give back ends with the call.
func (s *services) Slot(ctx context.Context, scope sdk.CacheScope, key string, limit int) (func(), error) {
	name, err := s.limitScope(scope, key)
	if err != nil {
		return nil, err
	}
	if limit < 1 || limit > maxBucketCalls {
		return nil, &sdk.Error{Class: sdk.ClassSystem, Code: "bad_slot", Message: fmt.Sprintf("slots of %s: %d at once; 1 to %d are allowed", key, limit, maxBucketCalls)}
	}
	at := bucketKey{name, key}
	if err := s.r.slotsHeld.take(ctx, s.done, at, limit); err != nil {
		return nil, err
	}
	return s.own(func() { s.r.slotsHeld.give(at) })
}

// own keeps what the end of the call gives back if the plugin does not before, by
// what own returns. A call that has ended gives it back at once.
func (s *services) own(give func()) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		give()
		return nil, &sdk.Error{Class: sdk.ClassSystem, Code: "call_ended", Message: "the call that asks has ended"}
	}
	s.taken++
	id := s.taken
	s.owned[id] = give
	return func() {
		s.mu.Lock()
		give := s.owned[id]
		delete(s.owned, id)
		s.mu.Unlock()
		if give != nil {
			give()
		}
	}, nil
}

func (h *slots) take(ctx context.Context, ended <-chan struct{}, name bucketKey, limit int) error {
	h.mu.Lock()
	s := h.names[name]
	if s == nil {
		if len(h.names) >= maxSlots {
			h.mu.Unlock()
			return &sdk.Error{Class: sdk.ClassSystem, Code: "too_many_slots", Message: fmt.Sprintf("slots are held under %d names", maxSlots)}
		}
		s = &slot{}
		h.names[name] = s
	}
	if s.held < limit && len(s.waiting) == 0 {
		s.held++
		h.mu.Unlock()
		return nil
	}
	w := &slotWait{limit: limit, given: make(chan struct{})}
	s.waiting = append(s.waiting, w)
	h.mu.Unlock()
	timer := time.NewTimer(waitInCall)
	defer timer.Stop()
	var why error
	select {
	case <-w.given:
		return nil
	case <-timer.C:
		// Those who are sent away return at different times.
		after := time.Second + time.Duration(rand.Int64N(int64(4*time.Second))) //nolint:gosec // a jitter needs no cryptography
		e := sdk.RateLimitedFor(after)
		e.Code, e.Message, e.Safe = "slots_taken", fmt.Sprintf("all %d slots of %s are taken", limit, name.key), true
		e.Limit.Key = "slot:" + name.key // nobody else waits for it
		why = e
	case <-ended:
		why = &sdk.Error{Class: sdk.ClassSystem, Code: "call_ended", Message: "the call that asks has ended"}
	case <-ctx.Done():
		why = context.Cause(ctx)
	}
	return h.leave(name, w, why)
}

// leave ends a wait, unless the slot came at the same moment.
func (h *slots) leave(name bucketKey, w *slotWait, why error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.names[name]
	if i := slices.Index(s.waiting, w); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		h.serve(name, s)
		return why
	}
	return nil
}

// give frees a slot for the next who waits.
func (h *slots) give(name bucketKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.names[name]
	s.held--
	h.serve(name, s)
}

// serve hands free slots to those who wait. The caller holds mu.
func (h *slots) serve(name bucketKey, s *slot) {
	for len(s.waiting) > 0 && s.held < s.waiting[0].limit {
		close(s.waiting[0].given)
		s.waiting = s.waiting[1:]
		s.held++
	}
	if s.held == 0 && len(s.waiting) == 0 {
		delete(h.names, name)
	}
}
