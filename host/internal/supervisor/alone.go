package supervisor

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// AcquireAlone lends an instance in a process that is started for it and ends with
// its Release: what a call does to it, it does to no other call. The process that
// serves the rest goes on, and is not held responsible for its end. The caller
// bounds how many there are at once. ErrNotLoaded means that no process could be
// started; an error of opening the instance is the plugin's own.
func (s *Supervisor) AcquireAlone(ctx context.Context, name string, in sdk.Integration) (*Handle, error) {
	a := s.actor(name)
	if a == nil {
		return nil, fmt.Errorf("plugin %s: %w", name, ErrNotLoaded)
	}
	if !s.enterAlone() {
		return nil, fmt.Errorf("plugin %s: %w", name, ErrNotRunning)
	}
	b := a.wanted()
	if a.branches != nil {
		b = a.binaryOf(in.Tenant)
	}
	p, err := s.startAlone(ctx, a, b)
	if err != nil {
		s.loners.Done()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("start plugin %s for one call: %w: %w", name, ErrNotLoaded, err)
	}
	released := make(chan struct{})
	go s.awaitAlone(context.WithoutCancel(ctx), p, released)
	h, err := p.acquire(ctx, in)
	if err != nil {
		close(released)
		if errors.Is(err, errRetired) { // it ended, or the plugin is being replaced
			err = fmt.Errorf("plugin %s: %w", name, ErrNotLoaded)
		}
		return nil, err
	}
	h.end = func() { close(released) }
	return h, nil
}

// enterAlone counts one more, unless Run is about to end.
func (s *Supervisor) enterAlone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.loners.Add(1)
	return true
}

// startAlone starts the plugin's program once more.
func (s *Supervisor) startAlone(ctx context.Context, a *actor, b Binary) (*process, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	started := make(chan struct{})
	defer close(started)
	go func() {
		select {
		case <-s.stop:
			cancel(ErrNotRunning)
		case <-started:
		}
	}()
	p, err := s.start(ctx, b, a.book)
	if err != nil {
		return nil, err
	}
	p.oblige(a.obliged(p.binary))
	p.become(store.ProcessServing, nil)
	s.mu.Lock()
	s.alone[p] = struct{}{}
	s.mu.Unlock()
	a.log.Debug("process for one call", "pid", p.x.pid())
	return p, nil
}

// awaitAlone ends the process when its call is over, or when Run is.
func (s *Supervisor) awaitAlone(ctx context.Context, p *process, released <-chan struct{}) {
	defer s.loners.Done()
	select {
	case <-released:
		p.stop(ctx, 0)
	case <-s.stop:
		p.stop(ctx, 0)
	case <-p.x.exited: // by itself, and its call shall not take that for a drain
		<-p.gone
	}
	s.mu.Lock()
	delete(s.alone, p)
	s.mu.Unlock()
}

// stopAlone ends what is lent, and lends nothing more.
func (s *Supervisor) stopAlone() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	close(s.stop)
	s.loners.Wait()
}
