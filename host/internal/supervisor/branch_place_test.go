//go:build linux

package supervisor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: C60, F28, H24
//
// There are no more processes than there may be: one that has nothing to do makes way,
// that which had its last call first, one that is called does not, and who waits in
// vain is told what to change.
func TestProcessesHaveABound(t *testing.T) {
	t.Parallel()
	s := setup(t, perTenant, func(o *Options) { o.MaxProcesses = 2 })
	require.NoError(t, s.Sync(t.Context(), []Binary{variant(t, animal(t, "ok"), "1.0.0")}))
	s.resting(t, "zoo-ok")
	acme, globex := s.pidOf(t, "acme"), s.pidOf(t, "globex")
	require.Equal(t, acme, s.pidOf(t, "acme"))
	s.pidOf(t, "initech")
	require.True(t, gone(globex), "the place is free when the process is gone")
	require.Equal(t, acme, s.pidOf(t, "acme"))

	hold := func(tenant string) *Handle {
		h, err := s.Acquire(t.Context(), "zoo-ok", of(tenant))
		require.NoError(t, err)
		return h
	}
	first, second := hold("acme"), hold("initech")
	served := make(chan error, 1)
	go func() {
		_, err := s.callOf(context.WithoutCancel(t.Context()), "globex", "echo", `"hi"`)
		served <- err
	}()
	require.Eventually(t, func() bool { return s.status("zoo-ok").Waiting == 1 }, 30*time.Second, time.Millisecond)
	require.Equal(t, 2, s.status("zoo-ok").Processes)
	select {
	case <-first.Draining():
		require.Fail(t, "what is called is to end")
	default:
	}
	second.Release()
	require.NoError(t, <-served)
	require.Equal(t, acme, s.statusOf("acme").PID)

	second = hold("globex")
	s.opts.PlaceTimeout = time.Millisecond // of this test's calls alone
	_, err := s.Acquire(t.Context(), "zoo-ok", of("initech"))
	require.ErrorIs(t, err, ErrNotLoaded)
	require.ErrorContains(t, err, "has 2 processes")
	require.ErrorContains(t, err, "(hint: plugins: {max_processes: ...} in host.yaml)")
	require.Equal(t, "plugin_processes", sdk.AsError(err).Code)
	first.Release()
	second.Release()
	require.LessOrEqual(t, len(s.PIDs()), 2)
}

// rows: C60, P04
//
// Each tenant's process rests for itself, may reach what its own settings name, and
// when that changes is the only one that is replaced.
func TestTenantsProcessesRestAndReach(t *testing.T) {
	t.Parallel()
	var c cages
	reads := map[string]string{"acme": "/srv/acme", "globex": "/srv/globex"}
	s := setup(t, perTenant, func(o *Options) {
		o.Confine = c.confine
		o.Reach = func(_, tenant string) Access {
			c.mu.Lock()
			defer c.mu.Unlock()
			return Access{Reads: reads[tenant]}
		}
	})
	b := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	acme, globex := s.pidOf(t, "acme"), s.pidOf(t, "globex")
	launched := func() map[string]string {
		c.mu.Lock()
		defer c.mu.Unlock()
		out := map[string]string{}
		for _, l := range c.launched {
			out[l.Binary.Tenant] = l.Binary.Access.Reads
		}
		return out
	}
	require.Equal(t, map[string]string{"": "", "acme": "/srv/acme", "globex": "/srv/globex"}, launched())

	c.mu.Lock()
	reads["acme"] = "/srv/acme\n/srv/more"
	c.mu.Unlock()
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	require.Eventually(t, func() bool { got, _ := s.Access(b.Name, "acme"); return got.Reads == "/srv/acme\n/srv/more" }, 30*time.Second, time.Millisecond)
	require.NotEqual(t, acme, s.pidOf(t, "acme"))
	require.Equal(t, globex, s.pidOf(t, "globex"))
	require.Equal(t, "/srv/acme\n/srv/more", launched()["acme"])

	h, err := s.AcquireAlone(t.Context(), b.Name, of("globex"))
	require.NoError(t, err)
	require.Equal(t, "globex", h.process.binary.Tenant)
	require.Equal(t, "/srv/globex", h.process.binary.Access.Reads)
	h.Release()

	s.SetIdle(idleSoon, nil)
	require.Eventually(t, func() bool { return len(s.PIDs()) == 0 && len(s.Status()) == 1 }, 30*time.Second, time.Millisecond)
	require.Empty(t, s.actor(b.Name).branches.all(), "nothing is left of them")
	require.Equal(t, StateIdle, s.status(b.Name).State)
	require.NotEqual(t, globex, s.pidOf(t, "globex"), "the next call starts it")
}
