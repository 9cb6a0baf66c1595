package api

import (
	"context"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/types/known/durationpb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

type pluginService struct {
	hostv1.UnimplementedPluginServiceServer
	*Server
}

// ListPlugins returns each file of the plugin directory with its process.
func (s *pluginService) ListPlugins(ctx context.Context, _ *hostv1.ListPluginsRequest) (*hostv1.ListPluginsResponse, error) {
	list, err := s.deps.Plugins.Plugins(ctx)
	if err != nil {
		return nil, err
	}
	return &hostv1.ListPluginsResponse{Plugins: s.plugins(list)}, nil
}

// GetPlugin returns one with its manifest. Where several files claim a name, it
// is the one with a process.
func (s *pluginService) GetPlugin(ctx context.Context, req *hostv1.GetPluginRequest) (*hostv1.GetPluginResponse, error) {
	found, err := s.findPlugin(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	resp := &hostv1.GetPluginResponse{Plugin: s.plugin(found), Stderr: convert(found.Stderr, s.opts.Redact)}
	if m, ok := s.deps.Plugins.Manifest(ctx, found.Name); ok {
		resp.Manifest = manifest(m)
	}
	return resp, nil
}

func (s *pluginService) findPlugin(ctx context.Context, name string) (Plugin, error) {
	list, err := s.deps.Plugins.Plugins(ctx)
	var found *Plugin
	for i, p := range list {
		if p.Name == name && (found == nil || found.serves() < p.serves()) {
			found = &list[i]
		}
	}
	switch {
	case found != nil:
		return *found, nil
	case err != nil:
		return Plugin{}, err
	default:
		return Plugin{}, notFound("plugin", name, "jackfield plugin list")
	}
}

// RestartPlugin starts a new process of the plugin and lets the old one end.
func (s *pluginService) RestartPlugin(ctx context.Context, req *hostv1.RestartPluginRequest) (*hostv1.RestartPluginResponse, error) {
	found, err := s.findPlugin(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	err = s.deps.Plugins.Restart(ctx, req.GetName())
	if errors.Is(err, store.ErrNotFound) {
		hint := "jackfield plugin list"
		if found.Verdict == "unapproved" {
			hint = "jackfield plugin approve " + found.File
		}
		return nil, &Error{Kind: KindConflict, Message: "plugin " + req.GetName() + " is not loaded (" + found.Verdict + ")", Hint: hint}
	}
	if err != nil {
		return nil, &Error{
			Kind: KindConflict, Message: s.opts.Redact(err.Error()),
			Hint: "jackfield plugin logs " + req.GetName(),
		}
	}
	if found, err = s.findPlugin(ctx, req.GetName()); err != nil {
		return nil, err
	}
	return &hostv1.RestartPluginResponse{Plugin: s.plugin(found)}, nil
}

// RescanPlugins looks at the plugin directory now.
func (s *pluginService) RescanPlugins(ctx context.Context, _ *hostv1.RescanPluginsRequest) (*hostv1.RescanPluginsResponse, error) {
	if err := s.deps.Plugins.Rescan(ctx); err != nil {
		return nil, err
	}
	list, err := s.deps.Plugins.Plugins(ctx)
	if err != nil {
		return nil, err
	}
	return &hostv1.RescanPluginsResponse{Plugins: s.plugins(list)}, nil
}

// serves says how much of what a name means the entry is: what serves comes before
// what is tried, and that before what has no process.
func (p Plugin) serves() int {
	switch p.State {
	case "":
		return 0
	case "refused", "withdrawn", "draining":
		return 1
	case "serving", "idle":
		return 3
	default:
		return 2
	}
}

// maxUnserved is how many tenants are named whom a plugin does not serve.
const maxUnserved = 5

// unserved says which tenants a plugin does not serve that has a process for each.
func (p Plugin) unserved() (reasons []string) {
	more := 0
	for _, t := range p.Processes {
		switch {
		case t.State != "backoff" && t.State != "quarantined":
		case len(reasons) == maxUnserved:
			more++
		default:
			reasons = append(reasons, "plugin "+p.Name+" does not serve tenant "+t.Tenant+": "+t.Reason)
		}
	}
	if more > 0 {
		reasons = append(reasons, fmt.Sprintf("plugin %s does not serve %d more tenants (hint: jackfield plugin show %s)", p.Name, more, p.Name))
	}
	return reasons
}

func (s *Server) plugins(list []Plugin) []*hostv1.Plugin { return convert(list, s.plugin) }

func (s *Server) plugin(p Plugin) *hostv1.Plugin {
	return &hostv1.Plugin{
		Name:      p.Name,
		Version:   p.Version,
		Digest:    p.Digest,
		File:      p.File,
		Verdict:   p.Verdict,
		State:     p.State,
		Reason:    s.opts.Redact(p.Reason),
		Pid:       count(p.PID),
		StartedAt: timestamp(p.StartedAt),
		Restarts:  count(p.Restarts),
		Calls:     count(p.Calls),
		Memory:    p.Memory,
		CpuMs:     p.CPU.Milliseconds(),
		Kind:      p.Kind,
		Network:   p.Network,
		IdleAfter: durationpb.New(p.IdleAfter),

		Sandbox:        p.Sandbox,
		SandboxReasons: p.SandboxReasons,

		MemoryLimit:   int64(min(p.MemoryLimit, math.MaxInt64)),
		MemoryLimitBy: p.MemoryLimitBy,
		User:          p.User,
		UserReason:    p.UserReason,

		Isolation: p.Isolation,
		Processes: convert(p.Processes, s.tenantProcess),
		Waiting:   count(p.Waiting),
	}
}

func (s *Server) tenantProcess(p TenantProcess) *hostv1.TenantProcess {
	return &hostv1.TenantProcess{
		Tenant: p.Tenant, Version: p.Version, State: p.State, Reason: s.opts.Redact(p.Reason),
		Pid: count(p.PID), StartedAt: timestamp(p.StartedAt), Restarts: count(p.Restarts), Calls: count(p.Calls),
		Memory: p.Memory, CpuMs: p.CPU.Milliseconds(),
		User: p.User, UserReason: p.UserReason,
	}
}

func manifest(m sdk.Manifest) *hostv1.Manifest {
	return &hostv1.Manifest{
		Name:        m.Name,
		Label:       m.Label,
		Version:     m.Version,
		Description: m.Description,
		Kind:        string(m.Kind),
		Connectors: convert(m.Connectors, func(c sdk.Connector) *hostv1.Connector {
			return &hostv1.Connector{Name: c.Name, Label: c.Label, Force: c.Force}
		}),
		Capabilities:   convert(m.Capabilities, func(c sdk.Capability) string { return string(c) }),
		Hooks:          m.Hooks,
		Hosts:          m.Hosts,
		Every:          ticks(m.Every),
		SettingsSchema: m.SettingsSchema,
		Icon:           m.Icon,
	}
}
