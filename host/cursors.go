package main

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/host/internal/upkeep"
	"github.com/jackfield/jackfield/store"
)

// keptStore copies cursors, and brings them back.
type keptStore interface {
	KeepCursors(ctx context.Context, plugin, digest string) error
	KeptCursors(ctx context.Context, plugin string) (digest string, err error)
	RestoreCursors(ctx context.Context, plugin, why string) (restored []string, err error)
	DropKept(ctx context.Context, but []string) (more bool, err error)
}

// cursors keeps the cursors of a plugin's integrations for as long as the version
// before may take over again.
type cursors struct {
	db keptStore
	// flush has the store know of every move until now.
	flush func(ctx context.Context) error
	log   hclog.Logger
}

var _ supervisor.Cursors = cursors{}

// Keep implements supervisor.Cursors.
func (c cursors) Keep(ctx context.Context, plugin, digest string) error {
	return c.db.KeepCursors(ctx, plugin, digest)
}

// Kept implements supervisor.Cursors.
func (c cursors) Kept(ctx context.Context, plugin string) (string, error) {
	return c.db.KeptCursors(ctx, plugin)
}

// Restore implements supervisor.Cursors. That the bad version served is written before:
// told of later, what comes back would count as written by it.
func (c cursors) Restore(ctx context.Context, plugin, why string) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	restored, err := c.db.RestoreCursors(ctx, plugin, why)
	for _, name := range restored {
		c.log.Warn("integration goes on from its cursors of before the new version", "integration", name, "plugin", plugin)
	}
	return err
}

// unread returns which opaque data of a plugin a version does not read that reads only
// these (K17), whatever was written a moment ago.
func (h *Host) unread(ctx context.Context, plugin string, reads []int) ([]store.UnreadState, error) {
	if err := h.lifecycle.flush(ctx); err != nil {
		return nil, err
	}
	return h.db.UnreadState(ctx, plugin, reads)
}

// task forgets copies that nobody goes back to any more.
func (c cursors) task(inUse func() []string) upkeep.Task {
	return upkeep.Task{Name: "kept cursors", Every: 10 * time.Minute, Do: func(ctx context.Context) (bool, error) {
		return c.db.DropKept(ctx, inUse())
	}}
}

// tested returns the plugins of which a version is tried or on probation.
func (l *lifecycle) tested() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.services {
		if s.State == store.PluginUpgrading || l.now().Before(s.Probation) {
			names = append(names, s.Plugin)
		}
	}
	return names
}
