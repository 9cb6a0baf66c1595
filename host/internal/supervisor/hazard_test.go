//go:build linux

package supervisor

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/store"
)

// grandchild has the plugin start a process of its own, and returns that.
func (b *bundle) grandchild(t *testing.T, plugin string) int {
	t.Helper()
	pid, err := strconv.Atoi(b.call(t, plugin, "grandchild"))
	require.NoError(t, err)
	require.False(t, gone(pid))
	return pid
}

// rows: H02
//
// What a plugin started ends with it, also when it ends by a signal that it cannot see.
func TestChildrenOfACrashedPluginEndWithIt(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	child := s.grandchild(t, "zoo-ok")
	signal(t, s.status("zoo-ok").PID, syscall.SIGKILL)
	require.Eventually(t, func() bool { return gone(child) }, time.Minute, time.Millisecond)
}

// rows: H04, H03
//
// How long calls may end is the host's to say: longer than go-plugin would wait, and
// not longer than that.
func TestCallsEndWithinTheDrainTimeout(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		drain time.Duration
		takes string
		ends  bool
	}{
		"Patient":   {drain: time.Minute, takes: "2500", ends: true}, // go-plugin kills after two seconds
		"Impatient": {drain: 50 * time.Millisecond, takes: "600000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, func(o *Options) { o.DrainTimeout = c.drain })
			require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
			h, err := s.Acquire(t.Context(), "zoo-ok", integration(1))
			require.NoError(t, err)
			answered := make(chan error, 1)
			go func() {
				_, err := h.Instance.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: "take", Payload: []byte(c.takes)}) //nolint:forcetypeassert // Acquire promises it
				h.Release()
				answered <- err
			}()
			s.line(t, "zoo-ok", says("taking its time"))
			require.NoError(t, s.Sync(t.Context(), nil))
			if c.ends {
				require.NoError(t, <-answered)
			} else {
				require.ErrorIs(t, <-answered, plugin.ErrLost)
			}
			require.Eventually(t, func() bool { return len(s.PIDs()) == 0 }, time.Minute, 5*time.Millisecond)
		})
	}
}

// rows: H24
//
// All tenants are served by one process, each by an instance of its own.
func TestOneProcessServesAllTenants(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	lent := map[sdk.Instance]bool{}
	for n := range 20 {
		in := integration(1)
		in.Tenant, in.ID = "tenant-"+strconv.Itoa(n), strconv.Itoa(n)
		h, err := s.Acquire(t.Context(), "zoo-ok", in)
		require.NoError(t, err)
		defer h.Release()
		lent[h.Instance] = true
	}
	require.Len(t, lent, 20)
	require.Len(t, s.PIDs(), 1)
	require.Equal(t, 20, s.status("zoo-ok").Instances)
}

// sockets returns what the processes listen on.
func (b *bundle) sockets(t *testing.T) (paths []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.runDir, "*", "*", "*"))
	require.NoError(t, err)
	for _, path := range files {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		if info.Mode().Type() == os.ModeSocket {
			paths = append(paths, path)
		}
	}
	return paths
}

// rows: H27, H30
//
// A process listens on one socket, in a directory that is closed to other users, and
// answers nobody there who has not the certificate that it was started with.
func TestAPluginAnswersItsHostAlone(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	s.call(t, "zoo-ok", "echo")
	sockets := s.sockets(t)
	require.Len(t, sockets, 1, "what is asked of the host goes the same way back")
	for dir := filepath.Dir(sockets[0]); dir != filepath.Dir(s.runDir); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), dir)
	}
	for name, creds := range map[string]credentials.TransportCredentials{
		"Plain":              insecure.NewCredentials(),
		"WithoutCertificate": credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := grpc.NewClient("unix:"+sockets[0], append(plugin.DialOptions(), grpc.WithTransportCredentials(creds))...)
			require.NoError(t, err)
			defer conn.Close() //nolint:errcheck // of the test
			_, err = plugin.NewClient(conn).Describe(t.Context())
			require.Error(t, err)
		})
	}
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"), "the host goes on")
}

// rows: K20
//
// A process is a plugin's from its exec on, not from when it serves.
func TestAProcessThatStartsIsAPluginsToo(t *testing.T) {
	t.Parallel()
	s := setup(t)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	hang := animal(t, "hang")
	go func() { done <- s.Sync(ctx, []Binary{hang}) }()
	require.Eventually(t, func() bool { return len(s.PIDs()) == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, StateStarting, s.status("zoo-hang").State)
	require.False(t, gone(s.PIDs()[0]))
	cancel()
	require.Error(t, <-done)
}

// rows: H10
//
// A crash is one event with its panic, how the process ended and what it was busy
// with, and the move of the process says so too.
func TestACrashTellsWhatWasGoingOn(t *testing.T) {
	t.Parallel()
	told := &moves{}
	s := setup(t, func(o *Options) { o.OnMove = told.add; o.MinRestartDelay = time.Hour; o.MaxRestartDelay = time.Hour })
	b := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	lost := make(chan error, 2)
	invoke := func(name, hook, payload string) {
		in := integration(1)
		in.Name, in.ID = name, name
		h, err := s.Acquire(t.Context(), "zoo-ok", in)
		require.NoError(t, err)
		go func() {
			_, err := h.Instance.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: hook, Payload: []byte(payload)}) //nolint:forcetypeassert // Acquire promises it
			_ = h.Ending()                                                                                             // as whoever loses a call waits for it
			h.Release()
			lost <- err
		}()
	}
	invoke("two", "stuck", "")
	invoke("one", "crash", "out of cheese")
	for range 2 {
		require.ErrorIs(t, <-lost, plugin.ErrLost)
	}
	l := s.line(t, "zoo-ok", says("panic: in a goroutine: out of cheese"))
	require.Equal(t, "error", l.Level)
	require.Equal(t, "exited with code 2", l.Fields["process"])
	require.Equal(t, "acme/one, acme/two", l.Fields["busy_with"])
	require.Contains(t, l.Fields["stack"], "main.(*animal).Invoke")
	lines, err := s.Logs("zoo-ok", 0)
	require.NoError(t, err)
	n := 0
	for _, l := range lines {
		if strings.Contains(l.Message, "cheese") || strings.Contains(l.Message, "goroutine ") {
			n++
		}
	}
	require.Equal(t, 1, n, "one event")
	require.Eventually(t, func() bool { return told.move(store.MachineProcess, store.ProcessExited).Detail != "" }, time.Minute, time.Millisecond)
	require.Equal(t, "exited with code 2: panic: in a goroutine: out of cheese; busy with: acme/one, acme/two", told.move(store.MachineProcess, store.ProcessExited).Detail)
}

// rows: H10
//
// A call that was lost ends before the end of its process is seen: it counts for a
// moment more, and not for longer.
func TestWhatEndedAMomentAgoWasBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newInstances(func(context.Context, sdk.Integration) (sdk.Instance, error) { return nil, nil }, time.Minute, 10) //nolint:nilnil // nothing is called
		use := func(name string) (leave func()) {
			in := integration(1)
			in.Name, in.ID = name, name
			e, err := s.acquire(t.Context(), in)
			require.NoError(t, err)
			return func() { s.release(e) }
		}
		defer use("working")()
		use("idle")()
		<-time.After(lastMoment)
		use("lost")()
		require.Equal(t, []string{"acme/lost", "acme/working"}, s.busy())
	})
}

// rows: H10, F03
//
// A process that is stopped has its goroutines printed before it is killed: they say
// what it was doing.
func TestAFrozenPluginPrintsItsGoroutines(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) {
		o.HealthEvery = 100 * time.Millisecond
		o.MinRestartDelay = time.Hour
		o.MaxRestartDelay = time.Hour
	})
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	lost := make(chan error, 1)
	go func() {
		_, err := s.invoke(t.Context(), "zoo-ok", "take", "600000")
		lost <- err
	}()
	s.line(t, "zoo-ok", says("taking its time"))
	signal(t, s.status("zoo-ok").PID, syscall.SIGSTOP)
	require.ErrorIs(t, <-lost, plugin.ErrLost)
	l := s.line(t, "zoo-ok", says("SIGQUIT: quit"))
	require.Contains(t, l.Fields["stack"], "main.(*animal).Invoke", "what it was doing")
	require.Eventually(t, func() bool { return s.status("zoo-ok").State == StateBackoff }, time.Minute, time.Millisecond)
	require.Contains(t, s.status("zoo-ok").LastError, "it did not answer 2 health checks")
}

// rows: H25, L02, I10
//
// The text of a panic is cleared of secrets like every other line, wherever it is told.
func TestSecretsInAPanicAreTakenOut(t *testing.T) {
	t.Parallel()
	told := &moves{}
	s := setup(t, func(o *Options) {
		o.OnMove = told.add
		o.MinRestartDelay, o.MaxRestartDelay = time.Hour, time.Hour
		o.Redact = func(text string) string { return strings.ReplaceAll(text, "hunter2-hunter2", "***") }
	})
	b := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	_, err := s.invoke(t.Context(), "zoo-ok", "crash", "the token is hunter2-hunter2")
	require.ErrorIs(t, err, plugin.ErrLost)
	l := s.line(t, "zoo-ok", says("panic: in a goroutine: the token is ***"))
	require.NotContains(t, l.Fields["stack"], "hunter2")
	require.Eventually(t, func() bool { return s.status("zoo-ok").State == StateBackoff }, time.Minute, time.Millisecond)
	st := s.status("zoo-ok")
	require.NotContains(t, strings.Join(st.LastLines, "\n")+st.LastError, "hunter2")
	require.Contains(t, told.move(store.MachineProcess, store.ProcessExited).Detail, "the token is ***")
	require.NotContains(t, told.move(store.MachineProcess, store.ProcessExited).Detail, "hunter2")
}

// rows: H03, F03
//
// Health is a question of its own: calls that take their time, and a call that answers
// far too much, do not make a process look frozen.
func TestHealthIsNotAMatterOfData(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.HealthEvery = 20 * time.Millisecond })
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	pid := s.status("zoo-ok").PID
	ended := make(chan error, 20)
	for range cap(ended) {
		go func() {
			_, err := s.invoke(t.Context(), "zoo-ok", "take", "1500")
			ended <- err
		}()
	}
	_, err := s.invoke(t.Context(), "zoo-ok", "big", "")
	require.Error(t, err)
	for range cap(ended) {
		require.NoError(t, <-ended)
	}
	require.Equal(t, pid, s.status("zoo-ok").PID)
	require.Zero(t, s.status("zoo-ok").Restarts)
}
