//go:build linux && (amd64 || arm64)

package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// programVariable tells a test where the program is that tries to get out.
const programVariable = "SANDBOX_TEST_PROGRAM"

// hardenedVariable has this binary harden itself and wait for the end of its input.
const hardenedVariable = "SANDBOX_TEST_HARDENED"

func TestMain(m *testing.M) {
	if os.Getenv(hardenedVariable) != "" {
		if err := Harden(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("hardened")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "sandbox-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cleanup := func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}
	path := filepath.Join(dir, "escape")
	build := exec.Command("go", "build", "-o", path, "../../testdata/escape") //nolint:noctx // bounded by the test's own timeout
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build program: %v\n%s", err, out)
		cleanup(1)
	}
	if err := os.Setenv(programVariable, path); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(cleanup))
}

// attempt is one of testdata/escape.
type attempt struct {
	Name string `json:"name"`
	Do   string `json:"do"`
	On   string `json:"on,omitempty"`
}

// command starts the program with the attempts.
func command(t *testing.T, attempts ...attempt) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"attempts": attempts})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Getenv(programVariable))
	cmd.Env = []string{"ATTEMPTS=" + string(raw)}
	cmd.Stderr = os.Stderr
	return cmd
}

// outcome runs a command that was given to confine, and returns why each of its
// attempts failed. A nil box runs it without a sandbox.
func outcome(t *testing.T, box *Sandbox, p Policy, attempts ...attempt) map[string]string {
	t.Helper()
	cmd := command(t, attempts...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cell := start(t, box, cmd, p)
	said, err := io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	cell.Close()
	failed := map[string]string{}
	require.NoError(t, json.Unmarshal(said, &failed), string(said))
	require.Len(t, failed, len(attempts))
	return failed
}

// start starts cmd in a sandbox. The caller closes the cell.
func start(t *testing.T, box *Sandbox, cmd *exec.Cmd, p Policy) *Cell {
	t.Helper()
	if box == nil {
		require.NoError(t, cmd.Start())
		return &Cell{}
	}
	program, err := os.Open(cmd.Path)
	require.NoError(t, err)
	defer func() { require.NoError(t, program.Close()) }()
	p.Name = "escape"
	cell, err := box.Confine(cmd, program, p)
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, cell.Await())
	return cell
}

// victim is a process of this user that is no plugin, started by box.
func victim(t *testing.T, box *Sandbox) string {
	t.Helper()
	cmd := command(t, attempt{Name: "wait", Do: "wait"})
	lifeline, err := cmd.StdinPipe()
	require.NoError(t, err)
	cell := start(t, box, cmd, Policy{Dir: t.TempDir()})
	t.Cleanup(func() {
		_ = lifeline.Close()
		_ = cmd.Wait() // the end of the test may have ended it
		cell.Close()
	})
	return strconv.Itoa(cmd.Process.Pid)
}

// whole returns a sandbox that holds everything, or skips the test.
func whole(t *testing.T, opts Options) *Sandbox {
	t.Helper()
	box := New(opts)
	if v := box.Verdict(); v.Level != Full {
		t.Skipf("this system does not hold the whole sandbox: %v", v.Reasons)
	}
	return box
}
