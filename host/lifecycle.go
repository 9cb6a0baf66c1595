package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/store"
)

// The bounds of what lifecycle holds before it is written.
const (
	maxMoves     = 4_096
	movesAtOnce  = 200
	gatherMoves  = 100 * time.Millisecond // so that a start is one commit, not six
	retryMoves   = time.Second
	lastMovesFor = 2 * time.Second // when the daemon stops
)

// pluginStore keeps where plugins are.
type pluginStore interface {
	SavePluginMoves(ctx context.Context, moves []store.PluginMove) error
	PluginArtifacts(ctx context.Context) ([]store.PluginArtifact, error)
	PluginServices(ctx context.Context) ([]store.PluginService, error)
}

// lifecycle knows where each program and each plugin is. Every transition passes
// moved, where it becomes a log line and an event.
type lifecycle struct {
	db  pluginStore
	log hclog.Logger
	now func() time.Time
	// count is told of each move; nil: nobody counts.
	count func(machine, to string)

	wake    chan struct{} // of one: there is something to write
	writing chan struct{} // of one: held by who writes

	mu        sync.Mutex // guards what follows
	artifacts map[string]store.PluginArtifact
	services  map[string]store.PluginService
	pending   []store.PluginMove
	lost      int // of pending, since it was full
}

// openLifecycle reads where everything was when the host stopped.
func openLifecycle(ctx context.Context, db pluginStore, log hclog.Logger) (*lifecycle, error) {
	l := &lifecycle{
		db: db, log: log, now: time.Now, wake: make(chan struct{}, 1), writing: make(chan struct{}, 1),
		artifacts: map[string]store.PluginArtifact{}, services: map[string]store.PluginService{},
	}
	artifacts, err := db.PluginArtifacts(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range artifacts {
		l.artifacts[a.Digest] = a
	}
	services, err := db.PluginServices(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range services {
		l.services[s.Plugin] = s
	}
	return l, nil
}

// moved takes a transition. It does not block.
func (l *lifecycle) moved(m store.PluginMove) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch m.Machine {
	case store.MachineArtifact:
		l.artifact(m)
		return
	case store.MachinePlugin:
		m.From = l.services[m.Plugin].State // a plugin that was active when the host stopped is active still
		l.services[m.Plugin] = store.PluginService{
			Plugin: m.Plugin, Version: m.Version, Digest: m.Digest, State: m.To, Since: m.At,
			Previous: m.Previous, PreviousVersion: m.PreviousVersion, Probation: m.Probation,
		}
	case store.MachineProcess:
	}
	l.keep(m)
}

// artifact moves a program, if it may go there from where it is: one that is ready
// stays so when another process of it says what it is. The caller holds mu.
func (l *lifecycle) artifact(m store.PluginMove) {
	at := l.artifacts[m.Digest]
	again := at.State == m.To && m.To == store.ArtifactRejected && at.Detail != m.Detail
	m.From = at.State
	if !again && !m.Machine.MayMove(at.State, m.To) {
		return
	}
	l.artifacts[m.Digest] = store.PluginArtifact{
		Digest: m.Digest, Plugin: m.Plugin, Version: m.Version, State: m.To, Reason: m.Reason, Detail: m.Detail, Since: m.At,
	}
	l.keep(m)
}

// keep logs a move and leaves it to run. The caller holds mu.
func (l *lifecycle) keep(m store.PluginMove) {
	l.log.Log(moveLevel(m), "plugin moved", "machine", m.Machine, "plugin", m.Plugin, "version", m.Version,
		"digest", m.Digest[:min(12, len(m.Digest))], "from", m.From, "to", m.To, "pid", m.PID, "reason", m.Reason, "detail", m.Detail)
	if l.count != nil {
		l.count(string(m.Machine), cmp.Or(string(m.To), m.Reason))
	}
	if len(l.pending) >= maxMoves {
		l.lost++
		oldest := max(0, slices.IndexFunc(l.pending, func(m store.PluginMove) bool { return m.Machine == store.MachineProcess }))
		l.pending = slices.Delete(l.pending, oldest, oldest+1)
	}
	l.pending = append(l.pending, m)
	nudge(l.wake)
}

// moveLevel is how much a person wants to know of a move.
func moveLevel(m store.PluginMove) hclog.Level {
	switch {
	case m.To == store.ArtifactQuarantined, m.To == store.ArtifactWithdrawn, m.To == store.PluginRolledBack:
		return hclog.Warn
	case m.To == "", m.Machine == store.MachinePlugin && m.Reason != "":
		return hclog.Warn
	case m.Machine == store.MachinePlugin:
		return hclog.Info
	default:
		return hclog.Debug
	}
}

// found takes what discovery makes of the files.
func (l *lifecycle) found(files []discovery.Artifact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	runnable := map[string]bool{}
	for _, f := range files {
		runnable[f.Digest] = runnable[f.Digest] || f.Runnable()
	}
	for _, f := range files {
		if f.Digest == "" || !f.Runnable() && runnable[f.Digest] { // a second copy of what runs
			continue
		}
		l.judge(f)
	}
}

// judge moves a program to where its verdict puts it. The caller holds mu.
func (l *lifecycle) judge(f discovery.Artifact) {
	m := store.PluginMove{At: l.now(), Machine: store.MachineArtifact, Plugin: f.Name, Version: f.Version, Digest: f.Digest}
	to := func(states ...store.PluginState) {
		for _, m.To = range states {
			l.artifact(m)
		}
	}
	to(store.ArtifactSeen)
	at := l.artifacts[f.Digest]
	switch {
	case f.Runnable():
		if at.State != store.ArtifactRejected || at.Reason == string(discovery.VerdictDuplicate) || at.Reason == string(discovery.VerdictRefused) {
			to(store.ArtifactVerified, store.ArtifactStaged)
		}
	case f.Verdict == discovery.VerdictUnapproved:
		to(store.ArtifactUnapproved)
	case f.Verdict == discovery.VerdictIncomplete:
		m.Detail = f.Reason
		to(store.ArtifactSettling)
	default:
		m.Reason, m.Detail = string(f.Verdict), f.Reason
		to(store.ArtifactRejected)
	}
}

// withdrawn tells why a program is withdrawn, if it is.
func (l *lifecycle) withdrawn(digest string) (why string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.artifacts[digest]
	return a.Detail, a.State == store.ArtifactWithdrawn
}

// release lets the programs of a plugin that are withdrawn or in quarantine be tried
// again, and reports whether any was.
func (l *lifecycle) release(plugin string) (released bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for digest, a := range l.artifacts {
		if a.Plugin == plugin && (a.State == store.ArtifactWithdrawn || a.State == store.ArtifactQuarantined) {
			l.artifact(store.PluginMove{
				At: l.now(), Machine: store.MachineArtifact, Plugin: plugin, Version: a.Version, Digest: digest, To: store.ArtifactReady, Reason: "released",
			})
			released = true
		}
	}
	return released
}

// keeps reports whether a program serves, or may take over again.
func (l *lifecycle) keeps(digest string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.services {
		if s.Digest == digest || s.Previous == digest {
			return true
		}
	}
	return false
}

// service returns what serves a plugin, or served it last.
func (l *lifecycle) service(plugin string) store.PluginService {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.services[plugin]
}

// run writes what is told until ctx ends, and then what is left.
func (l *lifecycle) run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-l.wake:
			if pause(ctx, gatherMoves) == nil {
				l.write(ctx)
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastMovesFor)
	defer cancel()
	l.write(ctx)
	return nil
}

// write empties pending into the store, however often it takes.
func (l *lifecycle) write(ctx context.Context) {
	told := false
	for {
		err := l.flush(ctx)
		if err == nil {
			return
		}
		if !told && !errors.Is(err, context.Canceled) { // then the host stops, and writes once more
			l.log.Warn("moves of plugins wait to be written", "error", err)
		}
		told = true
		if pause(ctx, retryMoves) != nil {
			return
		}
	}
}

// flush writes what was told until now, so that the store knows of it. It returns why
// it could not; run tries again.
func (l *lifecycle) flush(ctx context.Context) error {
	select {
	case l.writing <- struct{}{}: // what another one is writing belongs to it
		defer func() { <-l.writing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		moves, lost := l.next()
		if lost > 0 {
			l.log.Warn("some moves of plugins have no event: too many waited", "lost", lost)
		}
		if len(moves) == 0 {
			return nil
		}
		if err := l.db.SavePluginMoves(ctx, moves); err != nil {
			l.putBack(moves)
			return err
		}
	}
}

// next takes moves to write, and how many were lost before them.
func (l *lifecycle) next() (moves []store.PluginMove, lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.pending), movesAtOnce)
	moves, l.pending = slices.Clone(l.pending[:n]), slices.Delete(l.pending, 0, n)
	lost, l.lost = l.lost, 0
	return moves, lost
}

// putBack takes moves that could not be written.
func (l *lifecycle) putBack(moves []store.PluginMove) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(moves, l.pending...)
}
