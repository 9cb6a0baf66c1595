//go:build unix

package main

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// lifecycleOf opens the lifecycle of a store, which ends with the test.
func lifecycleOf(t *testing.T, dir string) (*lifecycle, *sqlite.DB, func()) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: dir})
	require.NoError(t, err)
	l, err := openLifecycle(t.Context(), db, hclog.NewNullLogger())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = l.run(ctx) }) // it returns nil
	end := sync.OnceFunc(func() {
		cancel()
		running.Wait()
		require.NoError(t, db.Close())
	})
	t.Cleanup(end)
	return l, db, end
}

func kinds(t *testing.T, db *sqlite.DB) (out []string) {
	t.Helper()
	events, err := db.Events(t.Context(), 0, 1000)
	require.NoError(t, err)
	for _, e := range events {
		out = append(out, e.Kind)
	}
	return out
}

// rows: H34, F08
//
// Where a program is follows from its verdict and from what running it showed, is
// kept over a restart, and every move is an event, once.
func TestWhereAProgramIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, db, end := lifecycleOf(t, dir)
	file := discovery.Artifact{File: "slack", Name: "slack", Version: "1.0.0", Digest: "d1", Verdict: discovery.VerdictIncomplete, Reason: "cut short"}
	at := func() store.PluginState {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.artifacts["d1"].State
	}
	ran := func(to store.PluginState, reason string) {
		l.moved(store.PluginMove{At: time.Now(), Machine: store.MachineArtifact, Plugin: "slack", Digest: "d1", To: to, Reason: reason, Detail: reason})
	}
	l.found([]discovery.Artifact{file})
	require.Equal(t, store.ArtifactSettling, at())
	file.Verdict = discovery.VerdictUnapproved
	for range 3 { // each scan says so again
		l.found([]discovery.Artifact{file})
	}
	require.Equal(t, store.ArtifactUnapproved, at())
	file.Verdict, file.Staged = discovery.VerdictApproved, "cas/d1"
	second := file
	second.File, second.Verdict, second.Staged = "slack2", discovery.VerdictDuplicate, ""
	l.found([]discovery.Artifact{file, second})
	require.Equal(t, store.ArtifactStaged, at(), "a second copy says nothing of the program")
	ran(store.ArtifactRejected, "start_failed")
	l.found([]discovery.Artifact{file})
	require.Equal(t, store.ArtifactRejected, at(), "that it is approved makes it no better")
	ran(store.ArtifactProbed, "")
	ran(store.ArtifactReady, "")
	ran(store.ArtifactProbed, "") // another process
	require.Equal(t, store.ArtifactReady, at())
	ran(store.ArtifactQuarantined, "crash_loop")
	l.found([]discovery.Artifact{file})
	require.Equal(t, store.ArtifactQuarantined, at())
	_, set := l.withdrawn("d1")
	require.False(t, set, "what rests is tried again by itself")
	require.True(t, l.release("slack"))
	require.Equal(t, store.ArtifactReady, at())
	ran(store.ArtifactQuarantined, "crash_loop")
	ran(store.ArtifactWithdrawn, "it gave way") // in its probation, after a rest
	ran(store.ArtifactQuarantined, "crash_loop")
	l.found([]discovery.Artifact{file})
	want := []string{
		"plugin.artifact.seen", "plugin.artifact.settling", "plugin.artifact.unapproved", "plugin.artifact.verified", "plugin.artifact.staged",
		"plugin.artifact.rejected", "plugin.artifact.probed", "plugin.artifact.ready", "plugin.artifact.quarantined",
		"plugin.artifact.ready", "plugin.artifact.quarantined", "plugin.artifact.withdrawn",
	}
	require.Eventually(t, func() bool { return len(kinds(t, db)) == len(want) }, time.Minute, 10*time.Millisecond)
	require.Equal(t, want, kinds(t, db))
	l.moved(store.PluginMove{At: time.Now(), Machine: store.MachinePlugin, Plugin: "slack", Digest: "d1", To: store.PluginActive})
	end() // with the last move told a moment ago

	l, db, end = lifecycleOf(t, dir)
	defer end()
	require.Equal(t, store.ArtifactWithdrawn, at())
	why, set := l.withdrawn("d1")
	require.True(t, set, "over a restart too")
	require.Equal(t, "it gave way", why)
	require.Equal(t, "d1", l.services["slack"].Digest)
	require.Equal(t, append(want, "plugin.active"), kinds(t, db))
}

// brokenStore refuses to write until it is mended.
type brokenStore struct {
	mu     sync.Mutex // guards what follows
	broken bool
	saved  []store.PluginMove
}

func (b *brokenStore) SavePluginMoves(_ context.Context, moves []store.PluginMove) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken {
		return errors.New("the disk is full")
	}
	b.saved = append(b.saved, moves...)
	return nil
}

func (*brokenStore) PluginArtifacts(context.Context) ([]store.PluginArtifact, error) { return nil, nil }

func (*brokenStore) PluginServices(context.Context) ([]store.PluginService, error) { return nil, nil }

// rows: F14, I11
//
// Moves wait for a store that cannot write: a bounded number, and processes give way
// to programs and plugins.
func TestMovesWaitForTheStore(t *testing.T) {
	t.Parallel()
	db := &brokenStore{broken: true}
	l, err := openLifecycle(t.Context(), db, hclog.NewNullLogger())
	require.NoError(t, err)
	l.moved(store.PluginMove{Machine: store.MachinePlugin, Plugin: "slack", To: store.PluginActive})
	for pid := range maxMoves + 10 {
		l.moved(store.PluginMove{Machine: store.MachineProcess, Plugin: "slack", PID: pid + 1, To: store.ProcessStarting})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, l.run(ctx), "a store that cannot write keeps no daemon from stopping")
	db.mu.Lock()
	db.broken = false
	db.mu.Unlock()
	require.NoError(t, l.run(ctx))
	require.Len(t, db.saved, maxMoves)
	require.Equal(t, store.MachinePlugin, db.saved[0].Machine)
	require.Equal(t, maxMoves+10, db.saved[maxMoves-1].PID, "the newest are there")
	require.Equal(t, 12, db.saved[1].PID)
}

// rows: H34
//
// Ctrl-C is no trouble: a daemon that is stopped while moves wait to be written has
// written them when it ends, and warns of nothing.
func TestAStopWritesTheMovesAndWarnsOfNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	d := s.start()
	s.await(store.RunProcessed)
	d.stop(t) // its plugin stops within the moment that moves are gathered for
	require.NotContains(t, d.log.String(), "[WARN]")
	d = s.start()
	s.ready()
	require.Contains(t, s.cli("event", "list", "--kind", "plugin", "-o", "jsonl"), "plugin.process.exited")
	d.stop(t)
}
