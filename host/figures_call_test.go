//go:build unix

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	hcplugin "github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/host/internal/telemetry"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// callsMeasured is how many calls a round makes, one after the other.
const callsMeasured = 3000

// measureCalls compares a hook's call, from borrowing the plugin to giving it
// back, with a bare call over go-plugin; and the start of a plugin by the
// supervisor, to its first answer, with a bare start.
func measureCalls(t *testing.T, f *figures) {
	t.Helper()
	payload := []byte(`{"note":"` + strings.Repeat("x", 1000) + `"}`)
	var ours, bares, ratios, ourStarts, bareStarts, startRatios []float64
	for range figuresRounds {
		bareStart, bare := bareCalls(t, payload)
		start, call := hookCalls(t, payload)
		ours, bares, ratios = append(ours, micros(call)), append(bares, micros(bare)), append(ratios, micros(call)/micros(bare))
		ourStarts, bareStarts = append(ourStarts, micros(start)/1000), append(bareStarts, micros(bareStart)/1000)
		startRatios = append(startRatios, micros(start)/micros(bareStart))
	}
	f.times("hook's call of 1 KB over the wire, against a bare go-plugin call", median(ratios), 1.3)
	f.plain("  a hook's call, median", fmt.Sprintf("%.0f µs", median(ours)))
	f.plain("  a bare call, median", fmt.Sprintf("%.0f µs", median(bares)))
	f.times("start of a plugin to its first answer, against bare go-plugin", median(startRatios), 1.2)
	f.plain("  a plugin's start", fmt.Sprintf("%.0f ms", median(ourStarts)))
	f.plain("  a bare start", fmt.Sprintf("%.0f ms", median(bareStarts)))
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// hookCalls starts the load plugin as the daemon does and calls its hook.
func hookCalls(t *testing.T, payload []byte) (start, call time.Duration) {
	t.Helper()
	bin, err := builds()
	require.NoError(t, err)
	return hookCallsOf(t, supervisor.Binary{Name: "load", Path: filepath.Join(bin, "load")}, "echo", payload)
}

// hookCallsOf is hookCalls for a hook that returns what it is given.
func hookCallsOf(t *testing.T, b supervisor.Binary, name string, payload []byte) (start, call time.Duration) {
	t.Helper()
	sup, ctx, stop := supervised(t)
	defer stop()
	invoke := func() {
		h, err := sup.Acquire(ctx, b.Name, sdk.Integration{ID: "a1", Tenant: "acme", Name: "load", Revision: 1, Settings: sdk.NewSettings([]byte("{}"))})
		require.NoError(t, err)
		defer h.Release()
		hook, ok := h.Instance.(sdk.Invoker)
		require.True(t, ok)
		got, err := hook.Invoke(ctx, sdk.HookCall{Name: name, Payload: payload})
		require.NoError(t, err)
		require.Len(t, got.Payload, len(payload))
	}
	began := time.Now()
	require.NoError(t, sup.Sync(ctx, []supervisor.Binary{b}))
	invoke()
	return time.Since(began), medianCall(invoke)
}

// supervised runs a supervisor that counts calls as the daemon does.
func supervised(t *testing.T) (sup *supervisor.Supervisor, ctx context.Context, stop func()) {
	t.Helper()
	m := telemetry.New(telemetry.Options{Plugins: func() []telemetry.Plugin { return nil }, Store: func(context.Context) (store.Gauges, error) { return store.Gauges{}, nil }})
	sup, err := supervisor.New(supervisor.Options{
		RunDir: t.TempDir(), HealthEvery: time.Hour, Idle: time.Hour,
		OnCall: func(c supervisor.Call) { m.Called(c.Plugin, c.Method, c.Code, c.Took) }, // as the daemon counts it
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(untimed(t))
	ended := make(chan error, 1)
	go func() { ended <- sup.Run(ctx) }()
	return sup, ctx, func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// bareCalls starts the bare plugin with go-plugin alone, AutoMTLS on, and calls it.
func bareCalls(t *testing.T, payload []byte) (start, call time.Duration) {
	t.Helper()
	bin, err := builds()
	require.NoError(t, err)
	ctx := untimed(t)
	client := hcplugin.NewClient(&hcplugin.ClientConfig{
		HandshakeConfig: hcplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "BARE", MagicCookieValue: "bare"},
		Plugins:         hcplugin.PluginSet{"bare": &bareClient{}}, Cmd: exec.CommandContext(ctx, filepath.Join(bin, "bare")),
		AllowedProtocols: []hcplugin.Protocol{hcplugin.ProtocolGRPC}, AutoMTLS: true, Logger: hclog.NewNullLogger(),
	})
	defer client.Kill()
	began := time.Now()
	protocol, err := client.Client()
	require.NoError(t, err)
	dispensed, err := protocol.Dispense("bare")
	require.NoError(t, err)
	conn, ok := dispensed.(*grpc.ClientConn)
	require.True(t, ok)
	echo := func() {
		got := new(wrapperspb.BytesValue)
		require.NoError(t, conn.Invoke(ctx, "/bare.Bare/Echo", &wrapperspb.BytesValue{Value: payload}, got))
		require.Len(t, got.GetValue(), len(payload))
	}
	echo()
	return time.Since(began), medianCall(echo)
}

// bareClient dispenses the connection itself.
type bareClient struct {
	hcplugin.NetRPCUnsupportedPlugin
}

// GRPCServer implements hcplugin.GRPCPlugin.
func (*bareClient) GRPCServer(*hcplugin.GRPCBroker, *grpc.Server) error { return nil }

// GRPCClient implements hcplugin.GRPCPlugin.
func (*bareClient) GRPCClient(_ context.Context, _ *hcplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// medianCall returns the middle of what the calls took, one after the other.
func medianCall(call func()) time.Duration {
	took := make([]time.Duration, callsMeasured)
	for i := range took {
		began := time.Now()
		call()
		took[i] = time.Since(began)
	}
	return median(took[callsMeasured/10:]) // the first ones warm up
}

// percentile returns what p of the values are not above, p from 0 to 1.
func percentile(of []time.Duration, p float64) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}
