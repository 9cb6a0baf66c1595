package supervisor

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// errRetired sends Acquire to the process that came after.
var errRetired = errors.New("the process is retired")

// instances are what one process has open, by integration and revision (K18).
type instances struct {
	open    func(ctx context.Context, in sdk.Integration) (sdk.Instance, error)
	timeout time.Duration
	idleMax int
	wg      sync.WaitGroup // opening and closing
	// enter is told of an integration whose settings are about to be handed over, and
	// what it returns is called when they are used no more.
	enter func(in sdk.Integration) (left func())
	free  func() // called when nothing is in flight any more

	mu       sync.Mutex // guards what follows, and the fields of each instance
	byKey    map[instanceKey]*instance
	idle     *list.List // of *instance, the longest idle at the back
	inFlight int
	used     bool      // anything was ever lent
	usedAt   time.Time // when nothing was in flight any more
	retired  bool
	empty    chan struct{} // closed when retired and nothing is in flight
}

type instanceKey struct {
	integration string
	revision    int64
	writes      int // version of state
}

// instance is one that is open or about to be.
type instance struct {
	key    instanceKey
	in     sdk.Integration
	shared bool          // in byKey
	ready  chan struct{} // closed when open has answered
	sdk    sdk.Instance
	err    error
	users  int
	left   time.Time     // by the last one who used it
	place  *list.Element // in idle
	leave  func()        // of enter
}

func newInstances(open func(context.Context, sdk.Integration) (sdk.Instance, error), timeout time.Duration, idleMax int) *instances {
	return &instances{open: open, timeout: timeout, idleMax: idleMax, enter: func(sdk.Integration) func() { return func() {} }, free: func() {}, byKey: map[instanceKey]*instance{}, idle: list.New(), usedAt: time.Now(), empty: make(chan struct{})}
}

// acquire lends an instance, opening it first if need be. Settings that are only
// tried (DryRun, or no revision) get an instance of their own.
func (s *instances) acquire(ctx context.Context, in sdk.Integration) (*instance, error) {
	s.mu.Lock()
	if s.retired {
		s.mu.Unlock()
		return nil, errRetired
	}
	key := instanceKey{in.ID, in.Revision, in.WriteState}
	shared := !in.DryRun && in.Revision > 0
	e := s.byKey[key]
	if !shared || e == nil {
		e = &instance{key: key, in: in, shared: shared, ready: make(chan struct{}), leave: func() {}}
		if shared {
			s.supersede(key)
			s.byKey[key] = e
		}
		// Others may wait for it, so it outlives the caller that came first.
		s.wg.Go(func() { s.opening(context.WithoutCancel(ctx), e, in) })
	}
	if e.place != nil {
		s.idle.Remove(e.place)
		e.place = nil
	}
	e.users++
	s.used = true
	s.inFlight++
	s.mu.Unlock()

	select {
	case <-e.ready:
	case <-ctx.Done():
		s.release(e)
		return nil, context.Cause(ctx)
	}
	if e.err != nil {
		s.release(e)
		return nil, e.err
	}
	return e, nil
}

func (s *instances) opening(ctx context.Context, e *instance, in sdk.Integration) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	left := s.enter(in)
	opened, err := s.open(ctx, in)
	if err != nil {
		left()
		err = fmt.Errorf("open %s/%s: %w", in.Tenant, in.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.sdk, e.err, e.leave = opened, err, left
	close(e.ready)
	if err != nil {
		s.unshare(e)
	} else if e.users == 0 {
		s.rest(e) // all who asked for it went away
	}
}

// release takes an instance back.
func (s *instances) release(e *instance) {
	if s.giveBack(e) {
		s.free()
	}
}

// giveBack takes an instance back, and reports whether nothing is in flight any more.
func (s *instances) giveBack(e *instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.users--
	e.left = time.Now()
	if s.inFlight--; s.inFlight == 0 {
		s.usedAt = e.left
	}
	if e.users == 0 {
		s.rest(e)
	}
	if s.retired && s.inFlight == 0 {
		close(s.empty)
	}
	return s.inFlight == 0
}

// rest keeps an unused instance for the next call, or closes it.
func (s *instances) rest(e *instance) {
	select {
	case <-e.ready:
	default:
		return // opening comes back here
	}
	if !e.shared || s.retired || e.err != nil {
		s.unshare(e)
		s.close(e)
		return
	}
	e.place = s.idle.PushFront(e)
	for s.idle.Len() > s.idleMax {
		oldest := s.idle.Back().Value.(*instance) //nolint:forcetypeassert // the list holds nothing else
		s.unshare(oldest)
		s.close(oldest)
	}
}

// drop takes an instance out of use; it is closed when nobody uses it any more.
func (s *instances) drop(e *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unshare(e)
}

// supersede ends the instances of earlier revisions, and of another version of state.
func (s *instances) supersede(key instanceKey) {
	for have, e := range s.byKey {
		if have.integration == key.integration && have.revision <= key.revision && have != key {
			s.unshare(e)
			if e.users == 0 {
				s.close(e)
			}
		}
	}
}

func (s *instances) unshare(e *instance) {
	if e.shared {
		e.shared = false
		delete(s.byKey, e.key)
	}
	if e.place != nil {
		s.idle.Remove(e.place)
		e.place = nil
	}
}

// close tells the plugin that the instance is used no more.
func (s *instances) close(e *instance) {
	closer, ok := e.sdk.(sdk.Closer)
	if !ok {
		e.leave()
		return
	}
	e.sdk = nil
	s.wg.Go(func() {
		_ = closer.Close() // the process frees it at its end in any case
		e.leave()
	})
}

// retire lends out nothing more. The channel is closed when all is given back.
func (s *instances) retire() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.retired {
		s.retired = true
		if s.inFlight == 0 {
			close(s.empty)
		}
	}
	return s.empty
}

// lent returns up to n integrations whose instances are in use, or were last.
func (s *instances) lent(n int) (out []sdk.Integration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.byKey {
		if e.users > 0 && len(out) < n {
			out = append(out, e.in)
		}
	}
	for at := s.idle.Front(); at != nil && len(out) < n; at = at.Next() {
		out = append(out, at.Value.(*instance).in) //nolint:forcetypeassert // the list holds nothing else
	}
	return out
}

// busy names the integrations whose instances are lent, or were a moment ago, each
// once, sorted: a call that is lost may end before the end of its process is seen.
func (s *instances) busy() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, e := range s.byKey {
		if e.users > 0 || time.Since(e.left) < lastMoment {
			names = append(names, e.in.Tenant+"/"+e.in.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// count returns how many calls are in flight and how many instances are open.
func (s *instances) count() (inFlight, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inFlight, len(s.byKey)
}
