package endpoint

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The defaults of a gate.
const (
	defaultConcurrent = 16
	maxWaiting        = 8 // for each request that may be under way
	failuresToOpen    = 5 // in a row
	firstRest         = 5 * time.Second
	longestRest       = time.Minute
	maxGates          = 10_000
)

// How long nothing is sent after a rate limit: as the remote system says, within these
// bounds, and doubled each time if it does not say.
const (
	firstLimit   = time.Second
	longestGuess = time.Minute
	longestLimit = 15 * time.Minute
)

// interactiveKey marks a context.
type interactiveKey struct{}

// Interactive returns a context whose calls somebody waits for: they go first, and
// have a share of the requests that others leave free.
func Interactive(ctx context.Context) context.Context {
	return context.WithValue(ctx, interactiveKey{}, true)
}

func interactive(ctx context.Context) bool {
	yes, _ := ctx.Value(interactiveKey{}).(bool)
	return yes
}

// lane says whose a request is.
type lane struct {
	id   string // of the integration
	most int    // that may be under way to one host; 0: the default
}

// gates bound the requests of each integration to each remote host, and hold back
// those that would only fail.
type gates struct {
	now func() time.Time

	mu  sync.Mutex // guards all, and what is in the gates
	all map[gateKey]*gate
}

type gateKey struct{ id, host string }

// gate is the way of an integration to one remote host.
type gate struct {
	most     int
	busy     int       // requests under way
	patient  int       // of them, those that nobody waits for
	first    []*waiter // somebody waits for
	others   []*waiter
	failures int // in a row
	opens    int
	until    time.Time // no request goes before, and then one; zero: all go
	probing  bool
	limits   int       // rate limits in a row
	limited  time.Time // no request goes before: the remote system asked for a pause
}

type waiter struct {
	ready   chan struct{}
	granted bool
}

// pass is the leave to send one request.
type pass struct {
	gates *gates
	key   gateKey
	quick bool
	probe bool
}

// enter waits for leave to send a request. An error says that none goes now: the
// remote host fails, or too much is under way.
func (g *gates) enter(ctx context.Context, l lane, host string) (*pass, error) {
	p := &pass{gates: g, key: gateKey{l.id, host}, quick: interactive(ctx)}
	g.mu.Lock()
	at := g.gate(p.key, cmp.Or(l.most, defaultConcurrent))
	if err := at.closed(g.now(), host); err != nil {
		g.mu.Unlock()
		return nil, err
	}
	if at.room(p.quick) && len(at.first) == 0 {
		at.take(p, g.now())
		g.mu.Unlock()
		return p, nil
	}
	if len(at.first)+len(at.others) >= maxWaiting*at.most {
		g.mu.Unlock()
		return nil, busy(host, at.most)
	}
	w := &waiter{ready: make(chan struct{})}
	at.queue(p.quick, w)
	g.mu.Unlock()
	return g.wait(ctx, p, w)
}

// wait returns when it is the waiter's turn.
func (g *gates) wait(ctx context.Context, p *pass, w *waiter) (*pass, error) {
	select {
	case <-w.ready:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.all[p.key]
	if !w.granted { // so it is in the gate's queue, and the gate is there
		at.first = slices.DeleteFunc(at.first, func(o *waiter) bool { return o == w })
		at.others = slices.DeleteFunc(at.others, func(o *waiter) bool { return o == w })
		g.tidy(p.key, at)
		return nil, busy(p.key.host, at.most)
	}
	if err := at.closed(g.now(), p.key.host); err != nil {
		g.give(p, at)
		return nil, err
	}
	if ctx.Err() != nil {
		g.give(p, at)
		return nil, busy(p.key.host, at.most)
	}
	p.probe = at.probe(g.now())
	return p, nil
}

// How a request went, for the gate.
type verdict int

const (
	verdictNone verdict = iota // it says nothing about the host
	verdictGood
	verdictBad
	verdictLimited // it is well, and asks for a pause
)

// leave gives the leave back. rest is the pause that a rate limit asks for; 0: it does
// not say how long.
func (p *pass) leave(v verdict, rest time.Duration) {
	g := p.gates
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.all[p.key]
	if p.probe {
		at.probing = false
	}
	switch v {
	case verdictGood:
		at.failures, at.opens, at.until = 0, 0, time.Time{}
		if !g.now().Before(at.limited) { // else it was sent before the limit
			at.limits = 0
		}
	case verdictLimited:
		at.failures, at.opens, at.until = 0, 0, time.Time{}
		at.limit(g.now(), rest)
	case verdictBad:
		at.failures++
		if p.probe || at.failures >= failuresToOpen && at.until.IsZero() {
			at.until = g.now().Add(min(firstRest<<min(at.opens, 10), longestRest))
			at.opens++
		}
	case verdictNone:
	}
	g.give(p, at)
}

// give ends what a pass holds, and lets the next ones go. The caller holds mu.
func (g *gates) give(p *pass, at *gate) {
	at.busy--
	if !p.quick {
		at.patient--
	}
	for {
		quick := len(at.first) > 0
		queue := &at.others
		if quick {
			queue = &at.first
		}
		if len(*queue) == 0 || !at.room(quick) {
			break
		}
		w := (*queue)[0]
		*queue = (*queue)[1:]
		w.granted = true
		at.hold(quick)
		close(w.ready)
	}
	g.tidy(p.key, at)
}

// gate returns the gate of a key. The caller holds mu.
func (g *gates) gate(key gateKey, most int) *gate {
	at := g.all[key]
	if at == nil {
		if g.all == nil {
			g.all = map[gateKey]*gate{}
		}
		if len(g.all) >= maxGates {
			g.prune()
		}
		at = &gate{}
		g.all[key] = at
	}
	at.most = most
	return at
}

// prune forgets gates whose rest is over and that nobody uses. The caller holds mu.
func (g *gates) prune() {
	for key, at := range g.all {
		if now := g.now(); at.idle() && !now.Before(at.until) && !now.Before(at.limited) {
			delete(g.all, key)
		}
	}
}

// tidy forgets a gate that has nothing to remember. The caller holds mu.
func (g *gates) tidy(key gateKey, at *gate) {
	if at.idle() && at.failures == 0 && at.until.IsZero() && at.limits == 0 {
		delete(g.all, key)
	}
}

func (at *gate) idle() bool { return at.busy == 0 && len(at.first)+len(at.others) == 0 }

// limit notes that the remote system asks for a pause. Who was under way beside the
// first that was refused makes it no longer.
func (at *gate) limit(now time.Time, rest time.Duration) {
	if rest == 0 {
		if now.Before(at.limited) {
			return
		}
		rest = min(firstLimit<<min(at.limits, 10), longestGuess)
	}
	if !now.Before(at.limited) {
		at.limits++
	}
	if until := now.Add(min(max(rest, firstLimit), longestLimit)); until.After(at.limited) {
		at.limited = until
	}
}

// closed says that no request goes now, if none does.
func (at *gate) closed(now time.Time, host string) error {
	if rest := at.limited.Sub(now); rest > 0 {
		return &Error{
			Class: classRateLimited, Code: codeRateLimited, Outcome: OutcomeNotSent, RetryAfter: max(rest, firstLimit),
			Message: host + " asked for a pause: nothing is sent before it is over",
		}
	}
	if at.until.IsZero() || !at.probing && !now.Before(at.until) {
		return nil
	}
	e := &Error{
		Class: classTransient, Code: codeCircuitOpen, Outcome: OutcomeNotSent, RetryAfter: max(at.until.Sub(now), time.Second),
		Message: fmt.Sprintf("%s failed %d times in a row: nothing is sent for a while", host, at.failures),
	}
	return e
}

// probe reports whether a request is the one that finds out whether the host is well
// again, and notes it.
func (at *gate) probe(now time.Time) bool {
	if at.until.IsZero() || at.probing || now.Before(at.until) {
		return false
	}
	at.probing = true
	return true
}

func (at *gate) take(p *pass, now time.Time) {
	at.hold(p.quick)
	p.probe = at.probe(now)
}

func (at *gate) hold(quick bool) {
	at.busy++
	if !quick {
		at.patient++
	}
}

// room reports whether one more request may go. Those that nobody waits for leave a
// quarter free.
func (at *gate) room(quick bool) bool {
	if at.busy >= at.most {
		return false
	}
	return quick || at.most == 1 || at.patient < at.most-max(1, at.most/4)
}

func (at *gate) queue(quick bool, w *waiter) {
	if quick {
		at.first = append(at.first, w)
		return
	}
	at.others = append(at.others, w)
}

func busy(host string, most int) *Error {
	return &Error{
		Class: classTransient, Code: codeBusy, Outcome: OutcomeNotSent, Message: fmt.Sprintf("%d requests to %s are under way", most, host),
		Hint: "request.max_concurrent of the template", RetryAfter: time.Second,
	}
}
