//go:build linux

package supervisor

import (
	"context"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// tenantsOnTrial returns a plugin whose version 2.0.0, on probation, has a process for
// each of the tenants, as 1.0.0 had before.
func tenantsOnTrial(t *testing.T, prepare func(x *trialled), change ...func(*Options)) (x *trialled, tenants []string) {
	t.Helper()
	told := &moves{}
	s := setup(t, append([]func(*Options){perTenant, func(o *Options) { o.OnMove = told.add }}, change...)...)
	base := animal(t, "ok")
	x = &trialled{bundle: s, one: variant(t, base, "1.0.0"), two: variant(t, base, "2.0.0"), told: told}
	prepare(x)
	tenants = []string{"acme", "globex"}
	require.NoError(t, s.Sync(t.Context(), []Binary{x.one}))
	for _, tenant := range tenants {
		s.pidOf(t, tenant)
	}
	require.NoError(t, s.Sync(t.Context(), []Binary{x.two}))
	x.serve(t, "2.0.0", tenants)
	return x, tenants
}

// serve waits until each tenant's calls are answered by the version.
func (x *trialled) serve(t *testing.T, version string, tenants []string) {
	t.Helper()
	for _, tenant := range tenants {
		require.Eventually(t, func() bool {
			out, err := x.callOf(t.Context(), tenant, "version", "")
			return err == nil && out == `"`+version+`"`
		}, time.Minute, 5*time.Millisecond, "%s of %s", version, tenant)
	}
}

// accusers returns how many tenants' processes speak against what is on probation; -1 if
// nothing is.
func (x *trialled) accusers() int {
	a := x.actor("zoo-ok")
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.probation == nil {
		return -1
	}
	return len(a.probation.against)
}

// failsFor reports calls of a tenant that failed.
func (x *trialled) failsFor(t *testing.T, tenant string) {
	t.Helper()
	h, err := x.Acquire(t.Context(), "zoo-ok", of(tenant))
	require.NoError(t, err)
	defer h.Release()
	for range probationFailures {
		h.Report(true)
	}
}

// gaveWay wants the new version to be withdrawn for the reason.
func (x *trialled) gaveWay(t *testing.T, reason string) {
	t.Helper()
	states, reasons := x.told.of(store.MachineArtifact, x.two.Digest)
	at := slices.Index(states, store.ArtifactWithdrawn)
	require.GreaterOrEqual(t, at, 0)
	require.NotContains(t, states[at:], store.ArtifactReady, "a process that starts late does not let it out")
	require.Equal(t, []string{reason}, reasons)
	x.told.legal(t)
}

// rows: F07, H22, H24, K17
//
// Where each tenant has a process, a new version whose calls fail for one of them stays.
// When they fail for a second one it gives way for all, and the cursors that were copied
// before it began come back when none of its processes is left to write others.
func TestCallsOfTwoTenantsThatFailBringTheOldBack(t *testing.T) {
	t.Parallel()
	k := &shelf{}
	x, tenants := tenantsOnTrial(t, func(x *trialled) { writing(t, x.one, 1); writing(t, x.two, 2) }, func(o *Options) { o.Cursors = k })
	kept, restored := k.counts()
	require.Equal(t, []int{1, 0}, []int{kept, restored}, "once, whatever the number of processes")
	bad := x.PIDs()
	require.GreaterOrEqual(t, len(bad), len(tenants))
	var alive []int
	k.onRestore = func() {
		alive = slices.DeleteFunc(slices.Clone(bad), func(pid int) bool { return syscall.Kill(pid, 0) != nil })
	}

	x.failsFor(t, "acme")
	require.Eventually(t, func() bool { return x.accusers() == 1 }, time.Minute, time.Millisecond)
	x.serve(t, "2.0.0", tenants)
	_, restored = k.counts()
	require.Zero(t, restored)

	x.failsFor(t, "globex")
	x.serve(t, "1.0.0", tenants)
	kept, restored = k.counts()
	require.Equal(t, []int{1, 1}, []int{kept, restored})
	require.Empty(t, alive, "it could write what the old one does not read")
	x.gaveWay(t, "error_rate")
}

// rows: F03, F07, H03, H22, H24
//
// One tenant's process that is frozen is replaced while the other tenant's goes on with
// its calls, and takes a version on probation from nobody. Two that are do.
func TestATenantsFrozenProcessIsReplacedAlone(t *testing.T) {
	t.Parallel()
	often := func(o *Options) { o.HealthEvery = 200 * time.Millisecond }
	t.Run("One", func(t *testing.T) {
		t.Parallel()
		x, tenants := tenantsOnTrial(t, func(*trialled) {}, often)
		acme, globex := x.pidOf(t, "acme"), x.pidOf(t, "globex")
		replaced, over := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				if _, err := x.callOf(context.WithoutCancel(t.Context()), "globex", "slow", ""); err != nil {
					over <- err
					return
				}
				select {
				case <-replaced:
					over <- nil
					return
				default:
				}
			}
		}()
		signal(t, acme, syscall.SIGSTOP)
		require.Eventually(t, func() bool { return x.accusers() == 1 }, time.Minute, time.Millisecond)
		require.Eventually(t, func() bool {
			_, err := x.callOf(t.Context(), "acme", "echo", `"hi"`)
			return err == nil
		}, time.Minute, 5*time.Millisecond)
		close(replaced)
		require.NoError(t, <-over)
		require.True(t, gone(acme))
		require.NotEqual(t, acme, x.statusOf("acme").PID)
		require.Equal(t, globex, x.statusOf("globex").PID)
		x.serve(t, "2.0.0", tenants)
	})
	t.Run("Two", func(t *testing.T) {
		t.Parallel()
		x, tenants := tenantsOnTrial(t, func(*trialled) {}, often)
		for _, tenant := range tenants {
			signal(t, x.pidOf(t, tenant), syscall.SIGSTOP)
		}
		x.serve(t, "1.0.0", tenants)
		x.gaveWay(t, "unhealthy")
	})
}

// rows: K17
//
// Each tenant's process of a new version writes the state that the one before reads, in
// its probation, and its own from then on, without being started again.
func TestTenantsWriteTheOldStateInAProbation(t *testing.T) {
	t.Parallel()
	k, ahead := &shelf{}, &atomic.Int64{}
	x, tenants := tenantsOnTrial(t, func(x *trialled) {
		writing(t, x.one, 1)
		writing(t, x.two, 2)
		yields(t, x.two)
	}, func(o *Options) {
		o.Cursors = k
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	writes := func(tenant string) string {
		out, err := x.callOf(t.Context(), tenant, "writes", "")
		require.NoError(t, err)
		return out
	}
	pids := map[string]int{}
	for _, tenant := range append(tenants, "initech") { // which begins in the probation
		require.Equal(t, "1", writes(tenant), tenant)
		pids[tenant] = x.pidOf(t, tenant)
	}
	ahead.Store(int64(time.Hour))
	for tenant, pid := range pids {
		require.Eventually(t, func() bool { return writes(tenant) == "0" }, time.Minute, 10*time.Millisecond, tenant)
		require.Equal(t, pid, x.pidOf(t, tenant))
	}
	kept, restored := k.counts()
	require.Equal(t, []int{0, 0}, []int{kept, restored}, "there is nothing to go back to")
}
