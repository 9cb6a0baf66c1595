//go:build linux

package supervisor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/sdk"
)

// zooPath names the variable that tells a test where the zoo's binary is.
const zooPath = "JACKFIELD_TEST_ZOO"

func TestMain(m *testing.M) {
	if os.Getenv(hostRunDir) != "" {
		os.Exit(hostMain())
	}
	dir, err := os.MkdirTemp("", "zoo-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cleanup := func(int) { _ = os.RemoveAll(dir) }
	path := filepath.Join(dir, "zoo")
	build := exec.Command("go", "build", "-o", path, "./testdata/zoo") //nolint:noctx // bounded by the test's own timeout
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build zoo: %v\n%s", err, out)
		cleanup(1)
		os.Exit(1)
	}
	if err := os.Setenv(zooPath, path); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		cleanup(code)
		os.Exit(code)
	}))
}

// bundle is a running supervisor.
type bundle struct {
	*Supervisor
	runDir string
	stop   func() // ends Run and waits; twice is once
	ended  chan struct{}
}

// setup runs a supervisor with short times until the test ends, and then checks
// that it left nothing behind.
func setup(t *testing.T, change ...func(*Options)) *bundle {
	t.Helper()
	opts := Options{
		RunDir:       shortDir(t),
		StartTimeout: 20 * time.Second, // a loaded machine
		StopTimeout:  time.Second,
		DrainTimeout: 5 * time.Second,
		HealthEvery:  time.Minute,
		Inspect:      discovery.Inspect,
	}
	for _, c := range change {
		c(&opts)
	}
	s, err := New(opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	b := &bundle{Supervisor: s, runDir: s.dirs.base, ended: make(chan struct{})}
	var runErr error
	go func() {
		defer close(b.ended)
		runErr = s.Run(ctx)
	}()
	b.stop = func() {
		cancel()
		select {
		case <-b.ended:
		case <-time.After(time.Minute):
			require.Fail(t, "the supervisor does not stop")
		}
	}
	t.Cleanup(func() {
		pids := s.PIDs()
		b.stop()
		require.NoError(t, runErr)
		for _, pid := range pids {
			require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d is left", pid)
		}
		left, err := filepath.Glob(filepath.Join(b.runDir, "*"))
		require.NoError(t, err)
		require.Empty(t, left, "something is left in the run directory")
		require.NoDirExists(t, b.runDir, "it is left, although nothing is in it")
	})
	return b
}

// animal is the zoo's binary under a name that makes it behave.
func animal(t *testing.T, name string) Binary {
	t.Helper()
	path := os.Getenv(zooPath)
	require.NotEmpty(t, path)
	return Binary{Name: "zoo-" + name, Version: "1.0.0", Path: path}
}

// variant is a copy of an animal with another version and digest.
func variant(t *testing.T, b Binary, version string) Binary {
	t.Helper()
	body, err := os.ReadFile(b.Path)
	require.NoError(t, err)
	body = append(body, version...) // what stands after a program's end changes nothing
	path := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.WriteFile(path+".version", []byte(version), 0o600))
	writeProgram(t, path, body)
	sum := sha256.Sum256(body)
	return Binary{Name: b.Name, Version: version, Path: path, Digest: hex.EncodeToString(sum[:])}
}

// writeProgram writes a file that can be executed at once: no process is forked
// meanwhile that would keep it open for writing.
func writeProgram(t *testing.T, path string, body []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	require.NoError(t, os.WriteFile(path, body, 0o700))
}

func integration(revision int64) sdk.Integration {
	return sdk.Integration{Tenant: "acme", Name: "one", ID: "i1", Revision: revision}
}

// invoke makes one call through the supervisor.
func (b *bundle) invoke(ctx context.Context, plugin, hook, payload string) (string, error) {
	h, err := b.Acquire(ctx, plugin, integration(1))
	if err != nil {
		return "", err
	}
	defer h.Release()
	res, err := h.Instance.(sdk.Invoker).Invoke(ctx, sdk.HookCall{Name: hook, Payload: []byte(payload)}) //nolint:forcetypeassert // Acquire promises it
	return string(res.Payload), err
}

// call is invoke where it must work, within a time.
func (b *bundle) call(t *testing.T, plugin, hook string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := b.invoke(ctx, plugin, hook, `"hi"`)
	require.NoError(t, err)
	return out
}

// line waits for a line of the plugin's log.
func (b *bundle) line(t *testing.T, plugin string, match func(Line) bool) Line {
	t.Helper()
	var found Line
	require.Eventually(t, func() bool {
		lines, err := b.Logs(plugin, 0)
		require.NoError(t, err)
		for _, l := range lines {
			if match(l) {
				found = l
				return true
			}
		}
		return false
	}, time.Minute, 5*time.Millisecond)
	return found
}

// says matches a line by a part of its message.
func says(part string) func(Line) bool {
	return func(l Line) bool { return strings.Contains(l.Message, part) }
}

// status returns the plugin's first status.
func (b *bundle) status(name string) Status {
	for _, st := range b.Status() {
		if st.Name == name {
			return st
		}
	}
	return Status{}
}

// signal sends a signal to a plugin. A pid of zero would be this test's group.
func signal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	require.Greater(t, pid, 1)
	require.NoError(t, syscall.Kill(pid, sig))
}

// hostRunDir names the variable that makes this binary play a host.
const hostRunDir = "JACKFIELD_TEST_HOST_RUNDIR"

// hostHook names what the host of hostMain calls; nothing if it is empty. hookHang
// starts a plugin that never serves instead.
const (
	hostHook = "JACKFIELD_TEST_HOST_HOOK"
	hookHang = "hang"
)

// hostMain runs one plugin, prints its pid and that of what the hook starts, and waits
// to be killed.
func hostMain() int {
	s, err := New(Options{RunDir: os.Getenv(hostRunDir), Log: hclog.New(&hclog.LoggerOptions{Output: os.Stderr})})
	if err != nil {
		return 1
	}
	ctx := context.Background()
	go func() { _ = s.Run(ctx) }()
	err = s.Sync(ctx, []Binary{{Name: "zoo-ok", Path: os.Getenv(zooPath)}})
	if err != nil {
		return 1
	}
	pids := s.PIDs()
	switch hook := os.Getenv(hostHook); hook {
	case "":
	case hookHang:
		go func() {
			_ = s.Sync(ctx, []Binary{{Name: "zoo-ok", Path: os.Getenv(zooPath)}, {Name: "zoo-hang", Path: os.Getenv(zooPath)}})
		}()
		for len(pids) < 2 {
			if now := s.PIDs(); len(now) == 2 {
				pids = append(pids, now[0]+now[1]-pids[0]) // the other
			}
			<-time.After(time.Millisecond)
		}
	default:
		h, err := s.Acquire(ctx, "zoo-ok", integration(1))
		if err != nil {
			return 1
		}
		res, err := h.Instance.(sdk.Invoker).Invoke(ctx, sdk.HookCall{Name: hook}) //nolint:forcetypeassert // Acquire promises it
		pid, bad := strconv.Atoi(string(res.Payload))
		if err != nil || bad != nil {
			return 1
		}
		pids = append(pids, pid)
	}
	_ = json.NewEncoder(os.Stdout).Encode(pids)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}
