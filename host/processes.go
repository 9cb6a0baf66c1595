package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/host/internal/telemetry"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/store"
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
	// quarantined tells why a program is in quarantine, if it is.
	quarantined func(digest string) (why string, ok bool)
	// revive lets a plugin's program out of quarantine and returns it, if it was in.
	revive func(name string) (supervisor.Binary, bool)
	// reach knows what the processes are to read; adapted is told when one may not yet.
	reach   *reach
	adapted chan<- struct{}
	level   func(name string) (string, []string) // of its sandbox
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
	if access, ok := p.sup.Access(name); ok && p.reach.lacks(m, in, access) {
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

// manifests gives processes the API's view, whose Manifest takes a context.
type manifests struct{ *processes }

// Manifest implements api.Plugins.
func (m *manifests) Manifest(_ context.Context, name string) (sdk.Manifest, bool) {
	return m.kept(name)
}

// Plugins implements api.Plugins.
func (m *manifests) Plugins(context.Context) ([]api.Plugin, error) {
	files, err := m.watch.Last()
	byDigest := map[string]supervisor.Status{}
	for _, s := range m.sup.Status() {
		if have, ok := byDigest[s.Digest]; !ok || have.State == supervisor.StateDraining { // the one that drains came before it
			byDigest[s.Digest] = s
		}
	}
	stays := map[string]bool{}
	var out []api.Plugin
	for _, f := range files {
		stays[f.Name] = stays[f.Name] || f.Runnable()
		p := api.Plugin{
			Name: f.Name, Version: f.Version, Digest: f.Digest, File: f.Path,
			Verdict: string(f.Verdict), Reason: f.Reason, Network: string(m.network(f.Name)), IdleAfter: m.sup.IdleAfter(f.Name),
		}
		if f.Runnable() {
			p.Sandbox, p.SandboxReasons = m.level(f.Name)
		}
		s, ok := byDigest[f.Digest]
		if ok = ok && f.Runnable(); ok {
			describe(&p, s)
			delete(byDigest, f.Digest)
		}
		if why, bad := m.quarantined(f.Digest); bad && f.Runnable() && (!ok || s.State != supervisor.StateServing && s.RestartAt.IsZero()) {
			p.State, p.Reason = string(supervisor.StateQuarantined), "it is in quarantine: "+why+" (hint: jackfield plugin restart "+f.Name+" tries it again)"
		}
		p.Kind = m.kind(p)
		out = append(out, p)
	}
	for _, digest := range slices.Sorted(maps.Keys(byDigest)) { // processes whose file is gone
		s := byDigest[digest]
		p := api.Plugin{Name: s.Name, Digest: digest, Verdict: "gone", Network: string(m.network(s.Name)), IdleAfter: m.sup.IdleAfter(s.Name)}
		p.Sandbox, p.SandboxReasons = m.level(s.Name)
		if stays[s.Name] {
			p.Verdict, p.Reason = string(discovery.VerdictKept), "another program has its place in the plugin directory"
		}
		describe(&p, s)
		p.Kind = m.kind(p)
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b api.Plugin) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.File, b.File))
	})
	if err != nil {
		message, hint := splitHint(err.Error())
		err = &api.Error{Kind: api.KindUnavailable, Message: message, Hint: orElse(hint, "jackfield doctor")}
	}
	return out, err
}

// kind returns what a plugin does; nothing of one that was never started.
func (m *manifests) kind(p api.Plugin) string {
	man, ok := m.sup.Manifest(p.Name)
	if !ok {
		return ""
	}
	return string(cmp.Or(man.Kind, sdk.KindData))
}

func describe(p *api.Plugin, s supervisor.Status) {
	p.Version, p.State, p.PID = s.Version, string(s.State), s.PID
	p.StartedAt, p.Restarts, p.Calls, p.Stderr = s.StartedAt, s.Restarts, s.InFlight, s.LastLines
	p.Memory, p.CPU = telemetry.Usage(s.PID)
	if s.LastError != "" && s.State != supervisor.StateServing && s.State != supervisor.StateIdle {
		p.Reason = s.LastError
	}
}

// Logs implements api.Plugins.
func (m *manifests) Logs(_ context.Context, name string, lines int) ([]api.LogLine, error) {
	got, err := m.sup.Logs(name, lines)
	if err != nil {
		return nil, noPlugin(name, err)
	}
	out := make([]api.LogLine, len(got))
	for i, l := range got {
		out[i] = logLine(l)
	}
	return out, nil
}

// Follow implements api.Plugins.
func (m *manifests) Follow(ctx context.Context, name string) (<-chan api.LogLine, error) {
	in, err := m.sup.Follow(ctx, name)
	if err != nil {
		return nil, noPlugin(name, err)
	}
	out := make(chan api.LogLine)
	go func() {
		defer close(out)
		for l := range in {
			select {
			case out <- logLine(l):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// Restart implements api.Plugins.
func (m *manifests) Restart(ctx context.Context, name string) error {
	if b, ok := m.revive(name); ok {
		return noPlugin(name, m.sup.Try(ctx, b))
	}
	return noPlugin(name, m.sup.Restart(ctx, name))
}

// Rescan implements api.Plugins. What is wrong with the directory, Plugins tells.
func (m *manifests) Rescan(ctx context.Context) error {
	return m.watch.RescanNow(ctx)
}

// noPlugin makes an unknown plugin what the API answers as not found.
func noPlugin(name string, err error) error {
	if errors.Is(err, supervisor.ErrNotLoaded) {
		return fmt.Errorf("plugin %s: %w", name, store.ErrNotFound)
	}
	return err
}

func logLine(l supervisor.Line) api.LogLine {
	return api.LogLine{At: l.Time, Level: l.Level, Message: l.Message, Fields: l.Fields}
}
