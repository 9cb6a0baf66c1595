//go:build linux && (amd64 || arm64)

package sandbox

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/sandbox/launcher"
)

// rows: P03, H29
func TestNothingOfTheLaunchIsLeft(t *testing.T) {
	t.Parallel()
	own := t.TempDir()
	box := New(Options{})
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nenv\n"), 0o700))
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("needs a shell")
	}
	cmd := exec.CommandContext(t.Context(), script)
	cmd.Env = []string{"GIVEN=1"}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cell := start(t, box, cmd, Policy{Dir: own, Memory: 1 << 30})
	said, err := io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	cell.Close()
	require.Contains(t, string(said), "GIVEN=1\n")
	require.Contains(t, string(said), "GOMEMLIMIT=966367638\n")
	require.NotContains(t, string(said), launcher.Variable)
}

// rows: P02
func TestWhatIsExecutedIsWhatWasOpened(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "program")
	body, err := os.ReadFile(os.Getenv(programVariable))
	require.NoError(t, err)
	syscall.ForkLock.RLock() // nobody that is forked meanwhile has it open for writing
	require.NoError(t, os.WriteFile(path, body, 0o700))
	syscall.ForkLock.RUnlock()
	program, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, program.Close()) }()
	require.NoError(t, os.WriteFile(path+".new", []byte("#!/bin/sh\necho exchanged\n"), 0o700))
	require.NoError(t, os.Rename(path+".new", path))

	cmd := command(t, attempt{"own", "plant", t.TempDir()})
	var out bytes.Buffer
	cmd.Stdout = &out
	cell, err := New(Options{}).Confine(cmd, program, Policy{Name: "escape", Dir: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, cell.Await())
	require.NoError(t, cmd.Wait())
	cell.Close()
	require.Contains(t, out.String(), `"own"`)
}

// What is wrong with a program is told as without a sandbox, and what is wrong with
// the sandbox is not taken for that.
func TestAFailedLaunchIsExplained(t *testing.T) {
	t.Parallel()
	launch := func(t *testing.T, body string, mode os.FileMode) error {
		path := filepath.Join(t.TempDir(), "program")
		require.NoError(t, os.WriteFile(path, []byte(body), mode))
		program, err := os.Open(path)
		require.NoError(t, err)
		defer func() { require.NoError(t, program.Close()) }()
		cmd := exec.CommandContext(t.Context(), path)
		cell, err := New(Options{}).Confine(cmd, program, Policy{Name: "x", Dir: t.TempDir()})
		require.NoError(t, err)
		defer cell.Close()
		require.NoError(t, cmd.Start())
		err = cell.Await()
		require.Error(t, cmd.Wait())
		return err
	}
	require.ErrorIs(t, launch(t, "no program", 0o700), syscall.ENOEXEC)
	require.ErrorIs(t, launch(t, "#!/no/such/interpreter\n", 0o700), syscall.ENOENT)
	require.ErrorIs(t, launch(t, "#!/bin/sh\n", 0o600), syscall.EACCES)

	err := launchError([]byte{byte(launcher.StepFilter), byte(syscall.EACCES), 0, 0, 0})
	require.EqualError(t, err, "set the filter of system calls: permission denied")
	require.NotErrorIs(t, err, syscall.EACCES)
	require.NoError(t, launchError(nil))
}

func TestSpecIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, s := range []launcher.Spec{
		{},
		{Name: "a b\n\"c\"", Path: "/x y/\\z", Landlock: true, Bare: true, Data: 1 << 40, Files: 7, Tasks: 9, Filter: []byte{0, 1, 0xfe, 0xff, 5, 6, 7, 8}},
	} {
		got, ok := launcher.Decode(s.Encode())
		require.True(t, ok)
		require.Equal(t, s, got)
	}
	for _, bad := range []string{"", "true", "true false x 1 1  \"\" \"\"", "true false 1 1 1 zz \"\" \"\"", "true false 1 1 1  name", "true false 1 1 1  \"\" \"\" more"} {
		_, ok := launcher.Decode(bad)
		require.False(t, ok, bad)
	}
}

// rows: P08, H29
func TestAMemoryHogIsEndedAndExplained(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]uint64{"Limited": 256 << 20, "Unlimited": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, attempt{"hog", "hog", "512"})
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = io.Discard, &said
			cell := start(t, New(Options{}), cmd, Policy{Dir: t.TempDir(), Memory: limit})
			err := cmd.Wait()
			why := cell.Explain(strings.Split(said.String(), "\n"))
			cell.Close()
			if limit == 0 {
				require.NoError(t, err)
				require.Empty(t, why)
				return
			}
			require.Error(t, err)
			require.Equal(t, "it needed more than the 256 MiB of memory that it may use (hint: plugins: {memory: ...} in host.yaml)", why, said.String())
		})
	}
}

// rows: P08
func TestOpenFilesAreLimited(t *testing.T) {
	t.Parallel()
	got := outcome(t, New(Options{Files: 64}), Policy{Dir: t.TempDir()}, attempt{"files", "files", "100"})
	require.Contains(t, got["files"], "too many open files")
	require.Empty(t, outcome(t, New(Options{}), Policy{Dir: t.TempDir()}, attempt{"files", "files", "100"})["files"])
	require.Empty(t, outcome(t, New(Options{Files: 1 << 40}), Policy{Dir: t.TempDir(), Memory: 1 << 60}, attempt{"files", "files", "100"})["files"],
		"more than this process may have itself is no limit, and no failure")
}

func TestAWeakSystemStartsNothing(t *testing.T) {
	t.Parallel()
	box := New(Options{Require: Full})
	box.can = abilities{}
	_, err := box.Confine(exec.CommandContext(t.Context(), "x"), nil, Policy{})
	require.ErrorIs(t, err, ErrTooWeak)
	require.ErrorContains(t, err, "full is needed, this system has none: the kernel has no Landlock")
	require.ErrorContains(t, err, "(hint: plugins: {sandbox: {require: none}} in host.yaml trusts plugins that much more)")
	box.can.filters = true
	require.ErrorContains(t, box.Allowed(), "this system has partial")
	box.opts.Require = Partial
	require.NoError(t, box.Allowed())
	box.can.landlock.abi = landlockScopes
	require.Equal(t, Verdict{Level: Full}, box.Verdict())
	require.NoError(t, box.Allowed())
}

// What a launch costs is the start of a Go program, and of this one only a little is
// initialized for it.
func TestALaunchWaitsForNothing(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = []string{launcher.Variable + "=nonsense", "GODEBUG=inittrace=1"}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 127, cmd.ProcessState.ExitCode(), string(out))
	require.Less(t, strings.Count(string(out), "init "), 30, "package launcher imports what has to be initialized first:\n%s", out)
	require.NotContains(t, string(out), "init os ")
}
