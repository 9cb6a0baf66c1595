//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	hcplugin "github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// nextWire is the host's side of a version 2 whose service has another name: what the
// host calls by the name of version 1 it calls by that.
type nextWire struct {
	hcplugin.NetRPCUnsupportedPlugin
}

func (nextWire) GRPCServer(*hcplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the host serves no plugin")
}

func (nextWire) GRPCClient(_ context.Context, _ *hcplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) { //nolint:unparam // as the interface has it
	return plugin.NewClient(renamed{conn}), nil
}

// renamed is a connection to a plugin of version 2.
type renamed struct{ grpc.ClientConnInterface }

func (r renamed) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return r.ClientConnInterface.Invoke(ctx, second(method), args, reply, opts...)
}

func (r renamed) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return r.ClientConnInterface.NewStream(ctx, desc, second(method), opts...)
}

// ofVersionNine returns a program that speaks version 9 alone.
func ofVersionNine(t *testing.T, bin string) []byte {
	t.Helper()
	program, err := os.ReadFile(filepath.Join(bin, "next"))
	require.NoError(t, err)
	return append(program, "\n--speaks:9"...)
}

func second(method string) string {
	return strings.Replace(method, "/jackfield.plugin.v1.", "/jackfield.plugin.v2.", 1)
}

// rows: P05, H32
//
// Plugins of two versions of the protocol are served beside each other by one host,
// which takes with each the version that both know. One of a version that it does not
// know is refused with the version and what to do, and holds up nobody.
func TestTwoVersionsOfTheProtocolBesideEachOther(t *testing.T) {
	t.Parallel()
	bin, err := builds()
	require.NoError(t, err)
	var mu sync.Mutex // guards called
	called := map[string]int{}
	protocols := plugin.Plugins()
	protocols[2] = hcplugin.PluginSet{plugin.Name: nextWire{}}
	sup, err := supervisor.New(supervisor.Options{
		RunDir: t.TempDir(), HealthEvery: 50 * time.Millisecond, HealthMisses: 100, StartTimeout: time.Minute, Protocols: protocols,
		OnCall: func(c supervisor.Call) {
			mu.Lock()
			defer mu.Unlock()
			if c.Method == "Invoke" && c.Code == 0 {
				called[c.Plugin]++
			}
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sup.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
	}()
	nine := filepath.Join(t.TempDir(), "nine")
	require.NoError(t, os.WriteFile(nine, ofVersionNine(t, bin), 0o755))
	err = sup.Sync(ctx, []supervisor.Binary{
		{Name: "load", Path: filepath.Join(bin, "load")}, {Name: "next", Path: filepath.Join(bin, "next")}, {Name: "nine", Path: nine},
	})
	require.ErrorContains(t, err, `start plugin nine: it speaks protocol version "9", this host 1 2 (hint: rebuild it with this host's SDK)`)
	require.Equal(t, []string{"load", "next"}, sup.Loaded())

	handles := map[string]*supervisor.Handle{}
	for _, name := range []string{"load", "next"} { // both are open at once
		handles[name], err = sup.Acquire(ctx, name, sdk.Integration{ID: "a1", Tenant: "acme", Name: name, Revision: 1})
		require.NoError(t, err)
		defer handles[name].Release()
	}
	for range 3 {
		for name, h := range handles {
			hook, ok := h.Instance.(sdk.Invoker)
			require.True(t, ok)
			got, err := hook.Invoke(ctx, sdk.HookCall{Name: "echo", Payload: []byte(`"` + name + `"`)})
			require.NoError(t, err)
			require.JSONEq(t, `"`+name+`"`, string(got.Payload))
		}
	}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return called["load"] == 3 && called["next"] == 3
	}, time.Minute, time.Millisecond, "calls of each version are counted")
}

// rows: P05, H32
//
// A host that knows version 1 alone refuses a plugin of a later one when it is to be
// approved, and says why.
func TestAPluginOfAnUnknownProtocolIsNotApproved(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1})
	s.place("nine", ofVersionNine(t, s.bin), 0o755)
	out, err := s.try("plugin", "approve", "nine")
	require.Error(t, err)
	require.Contains(t, out, `it speaks protocol version "9", this host 1`)
	require.Contains(t, out, "hint: rebuild it with this host's SDK")
}
