package supervisor

import (
	"errors"

	"github.com/jackfield/jackfield/store"
)

// The reasons of moves that are no success.
const (
	reasonStart     = "start_failed"
	reasonHandshake = "handshake_failed"
	reasonDescribe  = "describe_failed"
	reasonMismatch  = "not_as_approved"
	reasonEnded     = "process_ended"
	reasonHealth    = "unhealthy"
	reasonForged    = "forged_token"
	reasonVerify    = "refused"
	reasonKeep      = "cursors_not_kept"
)

// Because returns err as the reason why a candidate is refused: a word that events
// show.
func Because(reason string, err error) error { return because(reason, err) }

// reasonError is an error with the reason that a move shows.
type reasonError struct {
	reason string
	err    error
}

// Error returns the text of the error alone.
func (e *reasonError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *reasonError) Unwrap() error { return e.err }

// because gives an error a reason, unless it has one.
func because(reason string, err error) error {
	if err == nil || reasonOf(err) != "" {
		return err
	}
	return &reasonError{reason: reason, err: err}
}

// reasonOf returns the reason of an error, or nothing.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*reasonError](err); ok {
		return e.reason
	}
	return ""
}

// tell passes a move on.
func (s *Supervisor) tell(m store.PluginMove) {
	m.At = s.opts.Now()
	s.opts.OnMove(m)
}

// tellArtifact tells what running a program showed.
func (s *Supervisor) tellArtifact(b Binary, to store.PluginState, err error) {
	if b.Digest == "" {
		return // nobody asked for a digest, so none is known
	}
	m := store.PluginMove{Machine: store.MachineArtifact, Plugin: b.Name, Version: b.Version, Digest: b.Digest, To: to}
	m.Reason, m.Detail = s.words(err)
	s.tell(m)
}

// words returns what a move says of an error.
func (s *Supervisor) words(err error) (reason, detail string) {
	if err == nil {
		return "", ""
	}
	text, _ := explain(err)
	return reasonOf(err), s.opts.Redact(text)
}

// become moves the process, if it may go there from where it is: one that has
// exited is not asked to stop any more.
func (p *process) become(to store.PluginState, err error) {
	p.moving.Lock()
	defer p.moving.Unlock()
	from := p.state
	if !store.MachineProcess.MayMove(from, to) {
		return
	}
	p.state = to
	m := store.PluginMove{
		Machine: store.MachineProcess, Plugin: p.binary.Name, Version: p.binary.Version, Digest: p.binary.Digest, From: from, To: to,
	}
	if p.x != nil && to != store.ProcessStarting {
		m.PID = p.x.pid()
	}
	m.Reason, m.Detail = p.sup.words(err)
	p.sup.tell(m)
}

// move moves the plugin. b is the program that serves it.
func (a *actor) move(to store.PluginState, b Binary, err error) {
	if a.branch != nil {
		return // the plugin has moved, or does not for one tenant's process
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moveLocked(to, b, err)
}

// moveLocked is move for who holds mu.
func (a *actor) moveLocked(to store.PluginState, b Binary, err error) {
	from := a.service
	if !store.MachinePlugin.MayMove(from, to) {
		return
	}
	a.service = to
	m := store.PluginMove{Machine: store.MachinePlugin, Plugin: a.name, Version: b.Version, Digest: b.Digest, From: from, To: to}
	if pr := a.probation; pr != nil && pr.of.same(b) {
		m.Previous, m.PreviousVersion, m.Probation = pr.previous.Digest, pr.previous.Version, pr.until
	}
	if a.binary.same(b) {
		m.StateWrites = a.manifest.State.Writes
		if pr := a.probation; pr != nil && pr.of.same(b) && pr.writes != 0 {
			m.StateWrites = pr.writes
		}
	}
	m.Reason, m.Detail = a.sup.words(err)
	a.sup.tell(m)
}

// drained moves the plugin on once nothing but b serves it.
func (a *actor) drained(b Binary) {
	a.mu.Lock()
	defer a.mu.Unlock() // over both: another one may be about to take over
	if a.service == store.PluginDraining && a.current != nil && a.current.binary.same(b) {
		a.moveLocked(store.PluginActive, b, nil)
	}
}
