package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// processes are the plugins as the runner and the API know them: the files that
// discovery finds and the processes that the supervisor keeps.
type processes struct {
	sup   *supervisor.Supervisor
	watch *discovery.Watcher
	data  string // where manifests are kept
	lock  string
	// network tells how a plugin reaches remote systems.
	network func(name string) config.Network
	// withdrawn tells why a program is withdrawn, if it is.
	withdrawn func(digest string) (why string, ok bool)
	// revive lets a plugin's program that is withdrawn or in quarantine be tried again and returns it.
	revive func(name string) (supervisor.Binary, bool)
	// reach knows what the processes are to read; adapted is told when one may not yet.
	reach   *reach
	adapted chan<- struct{}
	cage    *cage
	// perTenant reports whether each tenant has a process of the plugin.
	perTenant func(name string) bool
}

var (
	_ runner.Plugins = (*processes)(nil)
	_ api.Plugins    = (*manifests)(nil)
)

// Manifest implements runner.Plugins: of a plugin that can take work.
func (p *processes) Manifest(name string) (sdk.Manifest, bool) { return p.sup.Manifest(name) }

// Acquire implements runner.Plugins.
func (p *processes) Acquire(ctx context.Context, name string, in sdk.Integration) (runner.Plugin, error) {
	if err := p.reaches(name, in); err != nil {
		return runner.Plugin{}, err
	}
	return lent(p.sup.Acquire(ctx, name, in))
}

// AcquireAlone implements runner.Plugins.
func (p *processes) AcquireAlone(ctx context.Context, name string, in sdk.Integration) (runner.Plugin, error) {
	if err := p.reaches(name, in); err != nil {
		return runner.Plugin{}, err
	}
	return lent(p.sup.AcquireAlone(ctx, name, in))
}

// reaches returns why the plugin's process cannot serve the integration yet: its
// settings name files that the next process may read. The work comes again.
func (p *processes) reaches(name string, in sdk.Integration) error {
	m, ok := p.sup.Manifest(name)
	if !ok || p.reach == nil {
		return nil
	}
	if access, ok := p.sup.Access(name, in.Tenant); ok && p.reach.lacks(m, in, access) {
		nudge(p.adapted)
		return fmt.Errorf("plugin %s: a process that may read the files of %s/%s is about to start: %w", name, in.Tenant, in.Name, supervisor.ErrNotLoaded)
	}
	return nil
}

// lent is a handle as the runner knows it.
func lent(h *supervisor.Handle, err error) (runner.Plugin, error) {
	if err != nil {
		return runner.Plugin{}, err
	}
	return runner.Plugin{
		Instance: h.Instance, Manifest: h.Manifest, Draining: h.Draining(), Ending: h.Ending,
		Report: h.Report,
		Release: func(reopen bool) {
			if reopen {
				h.Drop()
			}
			h.Release()
		},
	}, nil
}

// Lost implements runner.Plugins.
func (*processes) Lost(err error) bool { return errors.Is(err, plugin.ErrLost) }

// Away implements runner.Plugins.
func (*processes) Away(err error) bool {
	return errors.Is(err, supervisor.ErrNotLoaded) || errors.Is(err, supervisor.ErrNotRunning)
}

// Reopen implements runner.Plugins.
func (*processes) Reopen(err error) bool { return errors.Is(err, plugin.ErrReopen) }

// kept returns what a plugin says of itself, running or not: as long as its
// digest is approved, its manifest is known.
func (p *processes) kept(name string) (sdk.Manifest, bool) {
	if m, ok := p.sup.Manifest(name); ok {
		return m, true
	}
	return keptManifest(p.lock, p.data, name)
}

// keptManifest returns the manifest that approve kept of an approved plugin.
func keptManifest(lockFile, data, name string) (sdk.Manifest, bool) {
	lock, err := discovery.LoadLock(lockFile)
	if err != nil {
		return sdk.Manifest{}, false
	}
	e, ok := lock.ByName(name)
	if !ok {
		return sdk.Manifest{}, false
	}
	m, err := discovery.LoadManifest(data, e.SHA256)
	return m, err == nil
}
