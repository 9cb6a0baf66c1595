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
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/host/internal/telemetry"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

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
	all := m.sup.Status()
	for _, s := range all {
		if s.Tenant != "" {
			continue // it stands with its plugin
		}
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
			Verdict: string(f.Verdict), Reason: f.Reason, Network: string(m.network(f.Name)), IdleAfter: m.sup.IdleAfter(f.Name), Isolation: m.isolation(f.Name),
		}
		if f.Runnable() {
			m.cage.describe(&p)
		}
		s, ok := byDigest[f.Digest]
		if ok = ok && f.Runnable(); ok {
			describe(&p, s)
			m.tenantsOf(&p, all)
			delete(byDigest, f.Digest)
		}
		if why, bad := m.withdrawn(f.Digest); bad && f.Runnable() && (!ok || s.State != supervisor.StateServing) {
			p.State, p.Reason = string(supervisor.StateWithdrawn), "it is withdrawn: "+why+" (hint: jackfield plugin restart "+f.Name+" tries it again)"
		}
		p.Kind = m.kind(p)
		out = append(out, p)
	}
	for _, digest := range slices.Sorted(maps.Keys(byDigest)) { // processes whose file is gone
		s := byDigest[digest]
		p := api.Plugin{Name: s.Name, Digest: digest, Verdict: "gone", Network: string(m.network(s.Name)), IdleAfter: m.sup.IdleAfter(s.Name), Isolation: m.isolation(s.Name)}
		m.cage.describe(&p)
		if stays[s.Name] {
			p.Verdict, p.Reason = string(discovery.VerdictKept), "another program has its place in the plugin directory"
		}
		describe(&p, s)
		m.tenantsOf(&p, all)
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

// isolation says who shares a process of the plugin.
func (p *processes) isolation(name string) string {
	if p.perTenant(name) {
		return string(config.IsolationTenant)
	}
	return string(config.IsolationProcess)
}

// tenantsOf describes the processes of a plugin that has one for each tenant, all of
// them with what serves.
func (m *manifests) tenantsOf(p *api.Plugin, all []supervisor.Status) {
	if p.Isolation != string(config.IsolationTenant) || p.State == string(supervisor.StateDraining) {
		return
	}
	for _, s := range all {
		if s.Name == p.Name && s.Tenant == "" && s.Digest == p.Digest {
			p.Waiting = max(p.Waiting, s.Waiting)
		}
		if s.Name != p.Name || s.Tenant == "" {
			continue
		}
		t := api.TenantProcess{
			Tenant: s.Tenant, Version: s.Version, State: string(s.State), PID: s.PID,
			StartedAt: s.StartedAt, Restarts: s.Restarts, Calls: s.InFlight,
		}
		t.Memory, t.CPU = telemetry.Usage(s.PID)
		t.User, t.UserReason = m.cage.personOf(p.Name, s.Tenant)
		if s.State != supervisor.StateServing && s.State != supervisor.StateDraining {
			t.Reason = s.LastError
			p.Stderr = append(p.Stderr, s.LastLines...)
		}
		p.Memory += t.Memory
		p.CPU += t.CPU
		p.Processes = append(p.Processes, t)
	}
	if p.Waiting > 0 && p.Reason == "" {
		p.Reason = fmt.Sprintf("tenants that wait for a process of theirs: %d; all %d that it may have are busy (hint: plugins: {max_processes: ...} in host.yaml)", p.Waiting, len(p.Processes))
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
