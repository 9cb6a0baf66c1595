package main

import (
	"context"
	"errors"
	"time"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/sdk"
)

// simProcess is one life of the plugin's process.
type simProcess struct {
	dead     chan struct{}
	draining chan struct{}
}

func newSimProcess() *simProcess {
	return &simProcess{dead: make(chan struct{}), draining: make(chan struct{})}
}

var (
	errSimDied = errors.New("the process is gone")
	errSimAway = errors.New("the process is starting")
)

// Acquire implements runner.Plugins.
func (r *simRemote) Acquire(_ context.Context, _ string, in sdk.Integration) (runner.Plugin, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.away) {
		return runner.Plugin{}, errSimAway
	}
	return r.open(in, r.process), nil
}

// AcquireAlone implements runner.Plugins.
func (r *simRemote) AcquireAlone(_ context.Context, _ string, in sdk.Integration) (runner.Plugin, error) {
	return r.open(in, newSimProcess()), nil
}

func (r *simRemote) open(in sdk.Integration, p *simProcess) runner.Plugin {
	return runner.Plugin{
		Instance: &simInstance{r: r, site: in.Tenant, process: p}, Manifest: simManifest(), Draining: p.draining, Release: func(bool) {},
	}
}

// Lost, Reopen and Away implement runner.Plugins.
func (*simRemote) Lost(err error) bool { return errors.Is(err, errSimDied) }
func (*simRemote) Reopen(error) bool   { return false }
func (*simRemote) Away(err error) bool { return errors.Is(err, errSimAway) }

// die ends the plugin's process, with every call in it.
func (r *simRemote) die() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.process.dead)
	r.process = newSimProcess()
}

// restart puts another process in the place of the plugin's, as a new version of it
// does: calls under way may end, for a while. None takes calls before the other one
// has started.
func (r *simRemote) restart(start, drain time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.process
	close(old.draining)
	time.AfterFunc(drain, func() { close(old.dead) })
	r.process = newSimProcess()
	r.away = time.Now().Add(start)
}
