package plugin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	hcplugin "github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// noisy prints and breaks on demand.
func noisy() *zoo {
	z := &zoo{}
	z.invoke = func(ctx context.Context, call sdk.HookCall) (sdk.HookResult, error) {
		switch call.Name {
		case "print":
			fmt.Println("to stdout")
			fmt.Fprintln(os.Stderr, "to stderr")
			fmt.Println(strings.Repeat("long ", 40<<10))
			fmt.Println("after the long line")
		case "panic":
			var nothing *zoo
			return sdk.HookResult{Payload: []byte(nothing.manifest.Name)}, nil
		}
		return sdk.HookResult{Payload: call.Payload}, nil
	}
	return z
}

// process starts this binary as a plugin.
func process(ctx context.Context, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(append(os.Environ(), asPlugin+"=1"), env...)
	return cmd
}

func cookie() string {
	return plugin.Handshake().MagicCookieKey + "=" + plugin.Handshake().MagicCookieValue
}

// buffer is a bytes.Buffer for a writer and a reader at the same time.
type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// rows: H08, H11, H27
func TestAProcess(t *testing.T) {
	t.Parallel()
	stderr := &buffer{}
	hc := hcplugin.NewClient(&hcplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake(),
		VersionedPlugins: plugin.Plugins(),
		Cmd:              process(t.Context()),
		AllowedProtocols: []hcplugin.Protocol{hcplugin.ProtocolGRPC},
		GRPCDialOptions:  plugin.DialOptions(),
		AutoMTLS:         true,
		Stderr:           stderr,
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(hc.Kill)
	rpc, err := hc.Client()
	require.NoError(t, err)
	got, err := rpc.Dispense(plugin.Name)
	require.NoError(t, err)
	client, ok := got.(*plugin.Client)
	require.True(t, ok)

	ctx, cancel := context.WithCancel(t.Context())
	linked := make(chan error, 1)
	go func() { linked <- client.Link(ctx) }()
	m, err := client.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "zoo", m.Name)
	require.NoError(t, client.Health(t.Context()))
	i, err := client.Open(t.Context(), sdk.Integration{})
	require.NoError(t, err)
	_, err = i.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: "print"})
	require.NoError(t, err)
	_, err = i.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: "panic"})
	requireSystem(t, err, "plugin_panic")
	require.Eventually(t, func() bool { // three writers, each in its own time
		said := stderr.String()
		for _, part := range []string{"after the long line", "to stdout", "to stderr", "panic in a call"} {
			if !strings.Contains(said, part) {
				return false
			}
		}
		return strings.HasSuffix(said, "\n")
	}, time.Minute, 5*time.Millisecond)

	cancel()
	require.ErrorIs(t, <-linked, context.Canceled)
	messages := map[string]int{}
	for line := range strings.Lines(stderr.String()) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		message, ok := entry["@message"].(string)
		require.True(t, ok)
		messages[message]++
		if message == "panic in a call" {
			require.Contains(t, entry["stack"], "serve_test.go")
		}
	}
	require.Equal(t, 1, messages["to stdout"])
	require.Equal(t, 1, messages["to stderr"])
	require.Equal(t, 1, messages["panic in a call"])
}

func TestAProcessThatDiesLosesItsCalls(t *testing.T) {
	t.Parallel()
	hc := hcplugin.NewClient(&hcplugin.ClientConfig{
		HandshakeConfig: plugin.Handshake(), VersionedPlugins: plugin.Plugins(), Cmd: process(t.Context()), AllowedProtocols: []hcplugin.Protocol{hcplugin.ProtocolGRPC},
		GRPCDialOptions: plugin.DialOptions(), Logger: hclog.NewNullLogger(),
	})
	t.Cleanup(hc.Kill)
	rpc, err := hc.Client()
	require.NoError(t, err)
	got, err := rpc.Dispense(plugin.Name)
	require.NoError(t, err)
	client := got.(*plugin.Client)
	linked := make(chan error, 1)
	go func() { linked <- client.Link(t.Context()) }()
	i, err := client.Open(t.Context(), sdk.Integration{})
	require.NoError(t, err)
	p, err := os.FindProcess(hc.ReattachConfig().Pid)
	require.NoError(t, err)
	require.NoError(t, p.Kill())
	require.ErrorIs(t, <-linked, plugin.ErrLost)
	_, err = i.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{})
	require.ErrorIs(t, err, plugin.ErrLost)
}

// serving starts cmd and waits for the plugin's handshake. The channel is closed
// when every process that holds its stdout has ended.
func serving(t *testing.T, cmd *exec.Cmd) <-chan struct{} {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	br := bufio.NewReader(out)
	line, err := br.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "|grpc|")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, br)
		_ = cmd.Wait()
	}()
	return ended
}

func requireEnds(t *testing.T, ended <-chan struct{}) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		require.Fail(t, "the plugin outlives its host")
	}
}

// rows: H01
func TestAProcessEndsWithItsLifeline(t *testing.T) {
	t.Parallel()
	cmd := process(t.Context(), cookie())
	lifeline, err := cmd.StdinPipe()
	require.NoError(t, err)
	ended := serving(t, cmd)
	select {
	case <-ended:
		require.Fail(t, "ended by itself")
	case <-time.After(300 * time.Millisecond):
	}
	require.NoError(t, lifeline.Close())
	requireEnds(t, ended)
}

// rows: H01
func TestAProcessEndsWithItsParent(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs sh, to be the parent")
	}
	cmd := process(t.Context(), cookie())
	cmd.Args = []string{"sh", "-c", `"$0" </dev/null & wait`, os.Args[0]}
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	cmd.Path = sh
	ended := serving(t, cmd)
	require.NoError(t, cmd.Process.Kill())
	requireEnds(t, ended)
}

func TestStartedByAPerson(t *testing.T) {
	t.Parallel()
	run := func(args ...string) (stdout, stderr string, code int) {
		var out, errs bytes.Buffer
		cmd := process(t.Context())
		cmd.Args, cmd.Stdout, cmd.Stderr = append([]string{"/opt/zoo"}, args...), &out, &errs
		_ = cmd.Run()
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	stdout, stderr, code := run()
	require.Empty(t, stdout)
	require.Contains(t, stderr, "zoo is the Jackfield plugin zoo (Zoo), version 1.0.0.")
	require.Equal(t, 2, code)
	stdout, stderr, code = run("version")
	require.Equal(t, "zoo 1.0.0\n", stdout)
	require.Empty(t, stderr)
	require.Zero(t, code)
	stdout, _, code = run("manifest")
	require.Zero(t, code)
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &m))
	require.Equal(t, "zoo", m["name"])
	require.Equal(t, map[string]any{"writes": 2.0, "reads": []any{1.0, 2.0}, "may_write": []any{1.0}}, m["state"])
}
