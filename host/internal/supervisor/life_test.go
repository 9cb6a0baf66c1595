//go:build linux

package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// rows: F02, H10, H14
func TestCrashIsSeenAndMended(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	first := s.status("zoo-ok")
	require.Equal(t, StateServing, first.State)

	h, err := s.Acquire(t.Context(), "zoo-ok", integration(1))
	require.NoError(t, err)
	lost := make(chan error, 1)
	go func() {
		_, err := h.Instance.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: "stuck"}) //nolint:forcetypeassert // Acquire promises it
		lost <- err
	}()
	require.Eventually(t, func() bool { return s.status("zoo-ok").InFlight == 1 }, time.Minute, time.Millisecond)
	began := time.Now()
	signal(t, first.PID, syscall.SIGKILL)
	require.ErrorIs(t, <-lost, plugin.ErrLost)
	h.Release()
	require.Eventually(t, func() bool {
		st := s.status("zoo-ok")
		return st.State == StateServing && st.PID != first.PID
	}, time.Minute, time.Millisecond)
	t.Logf("serves again after %s", time.Since(began))
	require.Equal(t, 1, s.status("zoo-ok").Restarts)
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
}

// rows: H10
func TestPanicIsOneEvent(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.MinRestartDelay = time.Hour; o.MaxRestartDelay = time.Hour })
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	_, err := s.invoke(t.Context(), "zoo-ok", "crash", "now")
	require.ErrorIs(t, err, plugin.ErrLost)
	l := s.line(t, "zoo-ok", says("panic: in a goroutine: now"))
	require.Equal(t, "error", l.Level)
	require.Contains(t, l.Fields["stack"], "main.(*animal).Invoke")
	require.Eventually(t, func() bool { return s.status("zoo-ok").State == StateBackoff }, time.Minute, time.Millisecond)
	st := s.status("zoo-ok")
	require.Contains(t, st.LastError, "exited with code 2")
	require.Contains(t, strings.Join(st.LastLines, "\n"), "panic: in a goroutine: now")
	require.False(t, st.RestartAt.IsZero())
}

// rows: F03, H03
//
// A process that is stuck tells by SIGQUIT where; one that does not even end by that is
// killed.
func TestFrozenPluginIsReplaced(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ok", "stubborn"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, func(o *Options) { o.HealthEvery = 200 * time.Millisecond })
			plug := "zoo-" + name
			require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, name)}))
			pid := s.status(plug).PID
			signal(t, pid, syscall.SIGSTOP)
			require.Eventually(t, func() bool { return stopped(t, pid) }, time.Minute, time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err := s.invoke(ctx, plug, "echo", "")
			require.Error(t, err, "a call ends with its deadline")
			require.Eventually(t, func() bool {
				st := s.status(plug)
				return st.State == StateServing && st.PID != pid
			}, time.Minute, 10*time.Millisecond)
			require.True(t, gone(pid))
			require.JSONEq(t, `"hi"`, s.call(t, plug, "echo"))
		})
	}
}

// rows: H14, F04
func TestRestartDelayGrows(t *testing.T) {
	t.Parallel()
	s, err := New(Options{RunDir: t.TempDir()})
	require.NoError(t, err)
	a := newActor(s, Binary{Name: "slack"})
	for i := range 30 {
		limit := min(100*time.Millisecond<<min(i, 20), 5*time.Minute)
		longest := time.Duration(0)
		for range 40 { // a part of the limit each time, by chance
			a.failures = i
			a.ends = crashes{} // they are minutes apart
			delay := a.backOff(errors.New("it broke"))
			require.LessOrEqual(t, delay, limit)
			longest = max(longest, delay)
		}
		require.Greater(t, longest, limit/4, "after %d failures in a row", i)
	}
	require.Equal(t, 30, a.failures)
}

// rows: K18
func TestAcquire(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.IdleInstances = 2 })
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	acquire := func(in sdk.Integration) *Handle {
		h, err := s.Acquire(t.Context(), "zoo-ok", in)
		require.NoError(t, err)
		require.Equal(t, "1.0.0", h.Version)
		require.Equal(t, "zoo-ok", h.Manifest.Name)
		return h
	}
	one := acquire(integration(1))
	again := acquire(integration(1))
	require.Same(t, one.Instance, again.Instance, "opened once a revision")
	newer := acquire(integration(2))
	require.NotSame(t, one.Instance, newer.Instance)
	one.Release()
	one.Release()
	again.Release()
	newer.Release()
	s.line(t, "zoo-ok", func(l Line) bool { return l.Message == "closed" && l.Fields["revision"] == "1" })

	dropped := acquire(integration(2))
	dropped.Drop()
	fresh := acquire(integration(2))
	require.NotSame(t, dropped.Instance, fresh.Instance, "a dropped instance is opened again")
	dropped.Release()
	fresh.Release()

	dry := integration(2)
	dry.DryRun = true
	tried := acquire(dry)
	require.NotSame(t, fresh.Instance, tried.Instance, "settings that are tried get an instance of their own")
	tried.Release()

	idle := map[string]sdk.Instance{}
	named := func(id string) *Handle {
		in := integration(1)
		in.ID = id
		return acquire(in)
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		h := named(id)
		idle[id] = h.Instance
		h.Release()
	}
	require.Equal(t, 2, s.status("zoo-ok").Instances, "the longest idle are closed")
	for _, id := range []string{"c", "d", "a"} {
		h := named(id)
		require.Equal(t, id != "a", h.Instance == idle[id], "%s: those that were used last stay open", id)
		h.Release()
	}

	bad := integration(1)
	bad.Name, bad.ID = "bad", "bad"
	_, err := s.Acquire(t.Context(), "zoo-ok", bad)
	require.Equal(t, sdk.ClassConfig, sdk.AsError(err).Class)
	_, err = s.Acquire(t.Context(), "nobody", bad)
	require.ErrorIs(t, err, ErrNotLoaded)
	require.Zero(t, s.status("zoo-ok").InFlight)
}

// rows: H31
//
// Many restarts leave no goroutine and no open file: a soak makes 200.
func TestRestartsLeakNothing(t *testing.T) {
	restarts := 50
	if os.Getenv("JACKFIELD_SOAK") != "" {
		restarts = 200
	}
	s := setup(t, func(o *Options) { o.MinRestartDelay = time.Millisecond; o.MaxRestartDelay = time.Millisecond })
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	restart := func() {
		pid := s.status("zoo-ok").PID
		signal(t, pid, syscall.SIGKILL)
		require.Eventually(t, func() bool {
			st := s.status("zoo-ok")
			return st.State == StateServing && st.PID != pid
		}, time.Minute, time.Millisecond)
	}
	count := func() (goroutines, files int) {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return runtime.NumGoroutine(), len(entries)
	}
	for range 3 {
		restart()
	}
	goroutines, files := count()
	for range restarts {
		restart()
	}
	require.Eventually(t, func() bool {
		g, f := count()
		return g <= goroutines+5 && f <= files+5
	}, time.Minute, 20*time.Millisecond)
}

// rows: H01, H02, H26, F01
//
// A plugin ends with a host that is killed, also one that is stopped, and one that does
// nothing for it because it has not begun to serve; what it started ends at the next
// boot at the latest, which removes what was left.
func TestPluginEndsWithTheHost(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]string{"Serving": "", "Stopped": "", "Starting": hookHang, "Grandchild": "grandchild"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killHost(t, hook, name == "Stopped")
		})
	}
}

func killHost(t *testing.T, hook string, stop bool) {
	t.Helper()
	dir := shortDir(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	host := exec.CommandContext(ctx, exe)
	host.Env = append(os.Environ(), hostRunDir+"="+dir, hostHook+"="+hook)
	stdin, err := host.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close() //nolint:errcheck // the host is killed
	stdout, err := host.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, host.Start())
	var pids []int
	require.NoError(t, json.NewDecoder(stdout).Decode(&pids))
	require.NotEmpty(t, pids)
	require.False(t, gone(pids[0]))
	if stop {
		signal(t, pids[0], syscall.SIGSTOP)
		require.Eventually(t, func() bool { return stopped(t, pids[0]) }, time.Minute, time.Millisecond)
	}
	require.NoError(t, host.Process.Kill())
	_ = host.Wait()
	require.Eventually(t, func() bool { return gone(pids[0]) }, time.Minute, time.Millisecond)
	if hook == hookHang {
		require.Eventually(t, func() bool { return gone(pids[1]) }, time.Minute, time.Millisecond)
	}

	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.NotEmpty(t, left, "the killed host could not clean up")
	s := setup(t, func(o *Options) { o.RunDir = dir }) // whose end checks that nothing is left
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	for _, pid := range pids[1:] {
		require.Eventually(t, func() bool { return gone(pid) }, time.Minute, time.Millisecond)
	}
}

// rows: H01
func TestStraysOfAnEarlierHostAreKilled(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	stray := exec.Command("sleep", "300") //nolint:noctx // killed below
	stray.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, stray.Start())
	defer stray.Process.Kill()               //nolint:errcheck // dead already
	stranger := exec.Command("sleep", "300") //nolint:noctx // killed below
	stranger.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, stranger.Start())
	defer func() {
		_ = stranger.Process.Kill()
		_ = stranger.Wait()
	}()
	earlier := newRunDir(dir, false)
	require.Eventually(t, func() bool { // until exec has happened
		_, exe, err := identify(stray.Process.Pid)
		return err == nil && strings.HasSuffix(exe, "sleep") || err == nil && strings.Contains(exe, "coreutils") || err == nil && strings.Contains(exe, "busybox")
	}, time.Minute, time.Millisecond)
	require.NoError(t, earlier.add(stray.Process.Pid))
	line := strings.Replace(earlier.pids[stray.Process.Pid], " ", " 1", 1) // the pid of another, started at another time
	_, rest, _ := strings.Cut(line, " ")
	earlier.pids[stranger.Process.Pid] = jsonNumber(stranger.Process.Pid) + " " + rest
	require.NoError(t, earlier.save())

	killed, err := newRunDir(dir, false).open()
	require.NoError(t, err)
	require.Equal(t, []int{stray.Process.Pid}, killed)
	require.Error(t, stray.Wait())
	require.False(t, gone(stranger.Process.Pid))
}

func jsonNumber(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
}

// rows: H26
func TestRunDirectoryFitsASocket(t *testing.T) {
	t.Parallel()
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	s := setup(t, func(o *Options) { o.RunDir = long })
	require.NotContains(t, s.runDir, "longlong")
	require.LessOrEqual(t, len(s.runDir), maxRunDir)
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	_, err := New(Options{})
	require.ErrorContains(t, err, "run directory is required")
}

// The run directory is the host's alone, whatever it was before; where processes have users
// of their own these pass through it, and list nothing.
//
// rows: H27, L01
func TestTheRunDirectoryIsClosed(t *testing.T) {
	t.Parallel()
	for shared, want := range map[bool]os.FileMode{false: 0o700, true: 0o711} {
		base := filepath.Join(t.TempDir(), "run")
		require.NoError(t, os.Mkdir(base, 0o700))
		require.NoError(t, os.Chmod(base, 0o777)) // whatever the umask
		d := newRunDir(base, shared)
		_, err := d.open()
		require.NoError(t, err)
		for _, dir := range []string{d.base, d.boot} {
			info, err := os.Stat(dir)
			require.NoError(t, err)
			require.Equal(t, want, info.Mode().Perm(), dir)
		}
		require.NoError(t, d.close())
		require.NoDirExists(t, base)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	m, err := Probe(t.Context(), Options{}, animal(t, "ok"))
	require.NoError(t, err)
	require.Equal(t, "zoo-ok", m.Name)
	_, err = Probe(t.Context(), Options{}, animal(t, "exit"))
	require.ErrorContains(t, err, "boom: missing SLACK_TOKEN")
}

func TestSyncAfterTheEnd(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.stop()
	require.ErrorIs(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}), ErrNotRunning)
}

// rows: H03, F29
func TestStopInTheMiddleOfAStart(t *testing.T) {
	t.Parallel()
	s := setup(t)
	hang := animal(t, "hang")
	done := make(chan error, 1)
	go func() { done <- s.Sync(t.Context(), []Binary{hang}) }()
	require.Eventually(t, func() bool { // until it runs
		pids, err := os.ReadFile(filepath.Join(s.runDir, pidsFile))
		return err == nil && len(pids) > 0
	}, time.Minute, time.Millisecond)
	began := time.Now()
	s.stop()
	require.Error(t, <-done)
	require.Less(t, time.Since(began), 5*time.Second)
}

// rows: P02, H18
func TestWhatWasVerifiedIsWhatRuns(t *testing.T) {
	t.Parallel()
	b := variant(t, animal(t, "ok"), "2.0.0")
	exe, err := openProgram(b)
	require.NoError(t, err)
	defer exe.close()
	require.NoError(t, exe.verified())
	require.NoError(t, os.Rename(b.Path, b.Path+".old"))
	writeProgram(t, b.Path, []byte("#!/bin/sh\necho swapped\n"))
	cmd := &exec.Cmd{Path: executablePath(exe.file, exe.script), Args: []string{"zoo-exit"}}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "boom: missing SLACK_TOKEN", "the verified program, not the one that took its name")
	swapped, err := openProgram(b)
	require.NoError(t, err)
	defer swapped.close()
	require.ErrorIs(t, swapped.verified(), errDigest)
}
