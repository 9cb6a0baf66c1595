package plugin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// server answers the host with a plugin.
type server struct {
	pluginv1.UnimplementedPluginServiceServer
	plugin sdk.Plugin
	log    hclog.Logger
	link   *link

	mu      sync.Mutex // guards handles
	handles map[string]*handle
}

// handle is an instance that the host opened (K18).
type handle struct {
	instance sdk.Instance

	mu     sync.Mutex // guards what follows
	calls  int
	closed bool
}

func newServer(p sdk.Plugin, log hclog.Logger) *server {
	return &server{plugin: p, log: log, link: newLink(), handles: map[string]*handle{}}
}

// Describe returns the plugin's manifest with its schema.
func Describe(p sdk.Plugin) (sdk.Manifest, error) {
	if err := fault(p); err != nil {
		return sdk.Manifest{}, &sdk.Error{Class: sdk.ClassConfig, Code: codeFaulty, Message: err.Error(), Cause: err}
	}
	m := p.Manifest()
	if m.SettingsSchema == nil && m.Settings != nil {
		schema, err := Schema(m.Settings)
		if err != nil {
			return sdk.Manifest{}, fmt.Errorf("schema of %T: %w", m.Settings, err)
		}
		m.SettingsSchema = schema
	}
	m.Settings = nil
	if err := m.Validate(); err != nil {
		return sdk.Manifest{}, &sdk.Error{Class: sdk.ClassSystem, Code: "bad_manifest", Message: "manifest: " + err.Error(), Cause: err}
	}
	return m, nil
}

// fault returns why a plugin cannot be served, as itself knows it.
func fault(p sdk.Plugin) error {
	if f, ok := p.(sdk.Faulty); ok {
		return f.Fault()
	}
	return nil
}

// Describe implements the rpc.
func (s *server) Describe(ctx context.Context, _ *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	m, err := Describe(s.plugin)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	return &pluginv1.DescribeResponse{Manifest: manifestToProto(m)}, nil
}

// Open implements the rpc.
func (s *server) Open(ctx context.Context, req *pluginv1.OpenRequest) (*pluginv1.OpenResponse, error) {
	instance, err := s.plugin.Open(ctx, integrationFromProto(req))
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	if instance == nil {
		return nil, statusOf(ctx, &sdk.Error{Class: sdk.ClassSystem, Code: "no_instance", Message: "Open returned neither an instance nor an error"})
	}
	if err := s.plugin.Manifest().Implements(instance); err != nil || req.GetDryRun() {
		s.close(instance)
		return &pluginv1.OpenResponse{}, statusOf(ctx, err)
	}
	name := make([]byte, 16)
	_, _ = rand.Read(name) // never fails
	id := hex.EncodeToString(name)
	s.mu.Lock()
	s.handles[id] = &handle{instance: instance}
	s.mu.Unlock()
	return &pluginv1.OpenResponse{Handle: id}, nil
}

// Close implements the rpc. Calls under way end first, which it does not wait for.
func (s *server) Close(_ context.Context, req *pluginv1.CloseRequest) (*pluginv1.CloseResponse, error) {
	s.mu.Lock()
	h := s.handles[req.GetHandle()]
	delete(s.handles, req.GetHandle())
	s.mu.Unlock()
	if h != nil && h.end() {
		s.close(h.instance)
	}
	return &pluginv1.CloseResponse{}, nil
}

// closeAll closes the instances that no call uses.
func (s *server) closeAll() {
	s.mu.Lock()
	handles := s.handles
	s.handles = map[string]*handle{}
	s.mu.Unlock()
	for _, h := range handles {
		if h.end() {
			s.close(h.instance)
		}
	}
}

func (s *server) close(i sdk.Instance) {
	closer, ok := i.(sdk.Closer)
	if !ok {
		return
	}
	if err := closer.Close(); err != nil {
		s.log.Warn("close instance", "error", err)
	}
}

// end marks h closed and reports whether nothing uses it.
func (h *handle) end() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	return h.calls == 0
}

func (h *handle) take() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
}

// give reports whether h was closed and this was its last call.
func (h *handle) give() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls--
	return h.closed && h.calls == 0
}

// begin finds the instance that call works for. The context that it returns has
// the call's host. The caller runs end when the call is over.
func (s *server) begin(ctx context.Context, call *pluginv1.Call) (_ context.Context, _ sdk.Instance, end func(), err error) {
	s.mu.Lock()
	h := s.handles[call.GetHandle()]
	if h != nil {
		h.take()
	}
	s.mu.Unlock()
	if h == nil {
		return nil, nil, nil, statusWith(codes.FailedPrecondition, &sdk.Error{
			Class: sdk.ClassSystem, Code: codeReopen, Message: "this process does not know the handle",
		})
	}
	return sdk.WithHost(ctx, newCallHost(s.link, call.GetToken(), s.log)), h.instance, func() {
		if h.give() {
			s.close(h.instance)
		}
	}, nil
}

// HostLink implements the rpc.
func (s *server) HostLink(stream pluginv1.PluginService_HostLinkServer) error {
	return s.link.serve(stream)
}
