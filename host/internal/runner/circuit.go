package runner

import (
	"net/http"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// A circuit opens when so many attempts in a row failed at a remote system, with
// no success of the same integration between them (O51).
const (
	circuitFailures = 10
	circuitFirst    = 30 * time.Second // until the first probe; doubled by each that fails
	circuitLongest  = 15 * time.Minute
	// circuitGivesUp is how long a circuit is open before what fails counts as an
	// attempt again: a run must not wait for ever for what is gone.
	circuitGivesUp = 24 * time.Hour
	// maxCircuits bounds the hosts of an integration whose failures are counted.
	maxCircuits = 64
)

// circuits count failures in a row. What is open is kept in the store, which holds
// the streams back; here is what leads to it.
type circuits struct {
	jitter func() float64 // in [0, 1)

	mu sync.Mutex
	of map[int64]map[string]*circuit // by integration and host
}

// circuit is the way of an integration to a host that has failures.
type circuit struct {
	failures int
	keys     map[string]bool // limit keys of the streams that failed there
	open     *store.Circuit
}

// failed counts a failure of a stream that probes nothing. It returns what becomes
// of the circuit, nil if it stays closed.
func (c *circuits) failed(integration int64, host, key, message string, now time.Time) *store.CircuitChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	hosts := c.of[integration]
	if hosts == nil {
		hosts = map[string]*circuit{}
		c.of[integration] = hosts
	}
	h := hosts[host]
	if h == nil {
		if len(hosts) >= maxCircuits {
			return nil
		}
		h = &circuit{keys: map[string]bool{}}
		hosts[host] = h
	}
	h.failures++
	h.keys[key] = true
	switch {
	case h.open != nil:
		return &store.CircuitChange{Move: store.CircuitJoin, Circuit: *h.open}
	case h.failures < circuitFailures:
		return nil
	default:
		h.open = &store.Circuit{Host: host, OpenedAt: now, Until: now.Add(c.wait(1)), Opens: 1, Message: message}
		return &store.CircuitChange{Move: store.CircuitOpen, Circuit: *h.open}
	}
}

// again keeps a circuit open whose probe failed.
func (c *circuits) again(integration int64, p store.Circuit, message string, now time.Time) *store.CircuitChange {
	p.Opens++
	p.Until, p.Message = now.Add(c.wait(p.Opens)), message
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.of[integration][p.Host]; h != nil {
		h.open = &p
	}
	return &store.CircuitChange{Move: store.CircuitOpen, Circuit: p}
}

// succeeded forgets the failures of the hosts that streams of the key use, but for
// those whose circuit is open: the probe closes it.
func (c *circuits) succeeded(integration int64, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hosts := c.of[integration]
	for name, h := range hosts {
		if h.keys[key] && h.open == nil {
			delete(hosts, name)
		}
	}
	if len(hosts) == 0 {
		delete(c.of, integration)
	}
}

// closed forgets a circuit.
func (c *circuits) closed(integration int64, host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of[integration], host)
}

// wait is the time to the next probe: doubled each time, with a jitter of a
// fifth so that integrations do not return together.
func (c *circuits) wait(opens int) time.Duration {
	wait := circuitFirst
	for range opens - 1 {
		wait = min(2*wait, circuitLongest)
	}
	jitter := 0.8 + 0.4*c.jitter()
	return min(time.Duration(float64(wait)*jitter), circuitLongest)
}

// judge decides what the end of a claim says of the way to the remote system. While
// that is open a failure costs no attempt.
func (c *call) judge(e *ending) {
	probe := c.stream.Probe
	switch {
	case e.keep || answered(e.Failure):
		c.reached(e)
	case e.Failure != nil && e.Attempt && trips(e.Failure) && !c.decided(e):
		c.missed(e)
	case probe != nil: // it says nothing: the next one tries
		p := *probe
		p.Until = c.r.opts.Now().Add(c.r.opts.DeathDelay)
		e.circuit = &store.CircuitChange{Move: store.CircuitOpen, Circuit: p}
	}
}

// decided reports whether the failure is final though there were attempts left.
func (c *call) decided(e *ending) bool {
	return e.State == store.StreamError && c.stream.Attempts < c.r.opts.Retries
}

// reached closes what the claim tried.
func (c *call) reached(e *ending) {
	c.r.circuits.succeeded(c.in.ID, c.stream.LimitKey)
	if c.stream.Probe == nil {
		return
	}
	e.circuit = &store.CircuitChange{Move: store.CircuitClose, Circuit: *c.stream.Probe}
	c.r.circuits.closed(c.in.ID, c.stream.Probe.Host)
}

// missed counts a failure, and lets the stream wait if the circuit is open.
func (c *call) missed(e *ending) {
	host := c.stream.LimitKey
	if r := e.Failure.Request; r != nil && r.Host != "" {
		host = r.Host
	}
	now := c.r.opts.Now()
	if p := c.stream.Probe; p != nil {
		e.circuit = c.r.circuits.again(c.in.ID, *p, e.Failure.Message, now)
	} else {
		e.circuit = c.r.circuits.failed(c.in.ID, host, c.stream.LimitKey, e.Failure.Message, now)
	}
	if e.circuit == nil || now.Sub(e.circuit.OpenedAt) > circuitGivesUp {
		return
	}
	if e.circuit.Opens == 1 && e.circuit.Move == store.CircuitOpen {
		c.log.Warn("circuit open", "run", c.run.ID, "host", e.circuit.Host, "until", e.circuit.Until, "reason", e.Failure.Message)
	}
	e.State, e.DueAt, e.Attempt = store.StreamDelayed, later(e.circuit.Until, now), false
}

// trips reports whether a failure speaks against the remote system.
func trips(f *store.Failure) bool {
	bad := f.Class == string(sdk.ClassTransient) || f.Class == string(sdk.ClassRemote)
	return bad && (f.Request == nil || !refusal(f.Request.Status))
}

// answered reports whether the remote system answered, though not as hoped.
func answered(f *store.Failure) bool {
	if f == nil {
		return false
	}
	switch sdk.Class(f.Class) {
	case sdk.ClassAuth, sdk.ClassRateLimited:
		return true
	case sdk.ClassConfig, sdk.ClassTransient, sdk.ClassRemote, sdk.ClassSystem:
	}
	return f.Request != nil && refusal(f.Request.Status)
}

// refusal reports whether a status says that the request is wrong: to repeat it
// cannot help (F18).
func refusal(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	default:
		return status >= http.StatusBadRequest && status < http.StatusInternalServerError
	}
}
