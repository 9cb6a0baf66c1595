package plugin

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// Client is the plugin at the other end of a connection. Its methods may be
// called from several goroutines. Every call ends with its context; one that the
// process did not survive is ErrLost.
type Client struct {
	rpc      pluginv1.PluginServiceClient
	health   grpc_health_v1.HealthClient
	calls    calls
	forged   func()
	manifest atomic.Pointer[sdk.Manifest]
}

var _ sdk.Plugin = (*Client)(nil)

// NewClient returns a Client of conn, which stays the caller's to close. The
// caller also runs Link, without which a call has no host.
func NewClient(conn grpc.ClientConnInterface) *Client {
	c := &Client{rpc: pluginv1.NewPluginServiceClient(conn), health: grpc_health_v1.NewHealthClient(conn)}
	_, _ = rand.Read(c.calls.key[:]) // never fails
	c.OnForged(func() {})
	return c
}

// OnForged has f told each time the process asks in the name of a call that it was
// never given: of another process, or of none. f must not block. OnForged comes before
// Link.
func (c *Client) OnForged(f func()) { c.forged = f }

// Describe asks for the manifest, at most 256 KiB within 2 seconds, and keeps it
// for Manifest. A manifest that breaks a rule is an error. A capability that this host
// does not know is left out: the plugin is newer, and has it off here (H32).
func (c *Client) Describe(ctx context.Context) (sdk.Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	resp, err := c.rpc.Describe(ctx, &pluginv1.DescribeRequest{}, grpc.MaxCallRecvMsgSize(maxManifest))
	if err != nil {
		return sdk.Manifest{}, fmt.Errorf("describe: %w", errorOf(ctx, err))
	}
	m := manifestFromProto(resp.GetManifest())
	m.Capabilities = slices.DeleteFunc(m.Capabilities, func(c sdk.Capability) bool { return !c.Known() })
	if err := m.Validate(); err != nil {
		return sdk.Manifest{}, fmt.Errorf("describe: manifest: %w", err)
	}
	c.manifest.Store(&m)
	return m, nil
}

// Manifest returns what Describe brought last, or a zero Manifest before that.
func (c *Client) Manifest() sdk.Manifest {
	if m := c.manifest.Load(); m != nil {
		return *m
	}
	return sdk.Manifest{}
}

// Health asks whether the process serves, for 2 seconds at most.
func (c *Client) Health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	resp, err := c.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: healthService})
	if err != nil {
		return fmt.Errorf("health: %w", errorOf(ctx, err))
	}
	if resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("health: %s", resp.GetStatus())
	}
	return nil
}

// Open hands the settings over. The instance it returns has every optional
// interface of package sdk: the manifest says which of them answer. Close ends
// it at the other side too.
func (c *Client) Open(ctx context.Context, in sdk.Integration) (sdk.Instance, error) {
	resp, err := c.rpc.Open(ctx, integrationToProto(in))
	if err != nil {
		return nil, errorOf(ctx, err)
	}
	if resp.GetHandle() == "" && !in.DryRun {
		return nil, badAnswer("open: no handle")
	}
	return &instance{client: c, handle: resp.GetHandle()}, nil
}
