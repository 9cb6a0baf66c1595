//go:build linux

package supervisor

import (
	"errors"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cages is a Confine that notes what was launched.
type cages struct {
	mu       sync.Mutex // guards what follows
	launched []Launch
	closed   int
	fail     error // of what is launched from now on
	await    error
}

func (c *cages) confine(_ *exec.Cmd, l Launch) (Confinement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return nil, c.fail
	}
	c.launched = append(c.launched, l)
	return c, nil
}

func (c *cages) Await() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.await
}

func (*cages) Explain([]string) string { return "it took too much" }
func (*cages) Kill()                   {}

func (c *cages) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed++
}

// rows: P04, C60
func TestAPluginThatMayReachMoreGetsANewProcess(t *testing.T) {
	t.Parallel()
	var c cages
	s := setup(t, func(o *Options) { o.Confine = c.confine })
	b := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	first := s.status(b.Name)
	_, ok := s.Access(b.Name, "")
	require.True(t, ok)
	held, err := s.Acquire(t.Context(), b.Name, integration(1))
	require.NoError(t, err)

	b.Access = Access{Reads: "/srv/a"}
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	got, ok := s.Access(b.Name, "")
	require.True(t, ok)
	require.Equal(t, b.Access, got)
	second := s.status(b.Name)
	require.Equal(t, StateServing, second.State)
	require.NotEqual(t, first.PID, second.PID)
	require.Zero(t, second.Restarts)
	select {
	case <-held.Draining():
	default:
		require.Fail(t, "what the old process does may go on there for ever")
	}
	held.Release()

	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	require.Equal(t, second.PID, s.status(b.Name).PID, "nothing has changed")

	// One that cannot be started leaves what there is, with what it may reach.
	c.mu.Lock()
	c.fail = errors.New("no sandbox today")
	c.mu.Unlock()
	more := b
	more.Access.Reads = "/srv/a\n/srv/b"
	require.NoError(t, s.Sync(t.Context(), []Binary{more}))
	require.Equal(t, second.PID, s.status(b.Name).PID)
	require.Contains(t, s.status(b.Name).LastError, "no sandbox today")
	c.mu.Lock()
	c.fail = nil
	c.mu.Unlock()
	require.NoError(t, s.Sync(t.Context(), []Binary{more}))
	got, _ = s.Access(b.Name, "")
	require.Equal(t, more.Access, got)

	s.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Len(t, c.launched, 3)
	require.Equal(t, Access{}, c.launched[0].Binary.Access)
	require.NotEmpty(t, c.launched[0].Dir)
	require.Equal(t, 3, c.closed, "a sandbox is not let go of")
}

// A new version and what it may reach come at once: what serves may reach it too,
// however the trial ends.
//
// rows: P04, F07
func TestAVersionThatIsRefusedKeepsNobodyFromWhatItMayReach(t *testing.T) {
	t.Parallel()
	var c cages
	s := setup(t, func(o *Options) { o.Confine = c.confine })
	old := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{old}))
	bad := Binary{Name: old.Name, Version: "2.0.0", Path: filepath.Join(t.TempDir(), "bad"), Access: Access{Reads: "/srv/a"}}
	writeProgram(t, bad.Path, []byte("#!/bin/sh\nexit 3\n"))
	require.Error(t, s.Sync(t.Context(), []Binary{bad}))
	got, ok := s.Access(old.Name, "")
	require.True(t, ok)
	require.Equal(t, bad.Access, got)
	require.Equal(t, "1.0.0", s.status(old.Name).Version)
}

// rows: P04, P08
func TestASandboxThatFailsIsExplained(t *testing.T) {
	t.Parallel()
	c := cages{fail: errors.New("the kernel is too old (hint: a newer one)")}
	s := setup(t, func(o *Options) { o.Confine, o.MinRestartDelay = c.confine, time.Hour })
	require.ErrorContains(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}), "the kernel is too old (hint: a newer one)")

	await := cages{await: errors.New("set limits: not today")}
	s = setup(t, func(o *Options) { o.Confine, o.MinRestartDelay = await.confine, time.Hour })
	require.ErrorContains(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}), "set limits: not today")
	require.Empty(t, s.PIDs())
	await.mu.Lock()
	require.Equal(t, len(await.launched), await.closed)
	await.mu.Unlock()

	var explains cages
	s = setup(t, func(o *Options) { o.Confine, o.MinRestartDelay = explains.confine, time.Hour })
	require.ErrorContains(t, s.Sync(t.Context(), []Binary{animal(t, "exit")}), "exited with code 3: it took too much before the handshake")
}
