//go:build linux

package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// perTenant gives each tenant a process, and a test time to wait for one.
func perTenant(o *Options) {
	o.PerTenant = func(string) bool { return true }
	o.PlaceTimeout, o.MinRestartDelay = 20*time.Second, time.Millisecond
}

// of is an integration of a tenant.
func of(tenant string) sdk.Integration {
	return sdk.Integration{
		Tenant: tenant, Name: "one", ID: tenant + "-1", Revision: 1,
		Settings: sdk.NewSettings([]byte(`{"token": "canary-of-` + tenant + `"}`)),
	}
}

// callOf calls a hook for a tenant.
func (b *bundle) callOf(ctx context.Context, tenant, hook, payload string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	h, err := b.Acquire(ctx, "zoo-ok", of(tenant))
	if err != nil {
		return "", err
	}
	defer h.Release()
	res, err := h.Instance.(sdk.Invoker).Invoke(ctx, sdk.HookCall{Name: hook, Payload: []byte(payload)}) //nolint:forcetypeassert // Acquire promises it
	return string(res.Payload), err
}

// pidOf calls the tenant's process, which may start for it, and returns its pid.
func (b *bundle) pidOf(t *testing.T, tenant string) int {
	t.Helper()
	out, err := b.callOf(t.Context(), tenant, "look", "")
	require.NoError(t, err)
	var saw struct{ PID int }
	require.NoError(t, json.Unmarshal([]byte(out), &saw))
	return saw.PID
}

// statusOf returns the status of the tenant's process, or an empty one.
func (b *bundle) statusOf(tenant string) Status {
	for _, st := range b.Status() {
		if st.Tenant == tenant && st.State != StateDraining {
			return st
		}
	}
	return Status{}
}

// rows: H24, L02, P09, I09
//
// Two tenants of one plugin have a process each, which starts with the first call, and
// is given nothing of the other: neither settings nor a place in its memory.
func TestEachTenantHasAProcess(t *testing.T) {
	t.Parallel()
	ways := make(chan Binary, 8)
	s := setup(t, perTenant, func(o *Options) {
		o.Egress = func(_ context.Context, b Binary, _ string) (Egress, error) {
			ways <- b
			return noEgress{}, nil
		}
	})
	b := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	require.Equal(t, []string{"zoo-ok"}, s.Loaded())
	m, ok := s.Manifest("zoo-ok")
	require.True(t, ok)
	require.Equal(t, "1.0.0", m.Version)
	s.resting(t, "zoo-ok")
	require.Empty(t, s.PIDs(), "that it said what it is costs no process")

	acme, globex := s.pidOf(t, "acme"), s.pidOf(t, "globex")
	require.NotEqual(t, acme, globex)
	require.Equal(t, acme, s.pidOf(t, "acme"), "it goes on")
	require.ElementsMatch(t, []int{acme, globex}, s.PIDs())
	for _, tenant := range []string{"", "acme", "globex"} {
		require.Equal(t, tenant, (<-ways).Tenant, "each has a way out of its own")
	}
	require.Equal(t, acme, s.statusOf("acme").PID)
	all := s.status("zoo-ok")
	require.Equal(t, StateServing, all.State)
	require.Equal(t, Status{Name: "zoo-ok", Version: "1.0.0", Digest: b.Digest, State: StateServing, Instances: 2, Processes: 2}, all)

	a := s.actor("zoo-ok").branches.find("acme").process()
	for _, tenant := range []string{"globex", ""} {
		_, err := a.acquire(t.Context(), of(tenant))
		require.ErrorContains(t, err, "is not given what is of", "whoever asks for it")
	}
	_, err := s.Acquire(t.Context(), "zoo-ok", of(""))
	require.Error(t, err)
	for pid, tenant := range map[int]string{acme: "acme", globex: "globex"} {
		other := map[string]string{"acme": "globex", "globex": "acme"}[tenant]
		require.True(t, remembers(t, pid, "canary-of-"+tenant), "what it is given is found")
		require.False(t, remembers(t, pid, "canary-of-"+other), "what the other is given is in its memory")
	}
	line := s.line(t, "zoo-ok", func(l Line) bool { return l.Message == "opened" && l.PID == globex })
	require.Equal(t, "globex", line.Fields["tenant"])
	s.Say("zoo-ok", 2, "said in a call", map[string]string{"tenant": "acme"})
	require.Equal(t, acme, s.line(t, "zoo-ok", says("said in a call")).PID)
}

// remembers reports whether a word stands in the memory of a process.
func remembers(t *testing.T, pid int, word string) bool {
	t.Helper()
	proc := "/proc/" + strconv.Itoa(pid)
	mem, err := os.Open(proc + "/mem")
	if err != nil {
		t.Skip("needs the right to read a process's memory: ", err)
	}
	defer func() { require.NoError(t, mem.Close()) }()
	maps, err := os.ReadFile(proc + "/maps")
	require.NoError(t, err)
	part := make([]byte, 1<<20)
	for line := range strings.Lines(string(maps)) {
		place, rights, _ := strings.Cut(line, " ")
		from, to, _ := strings.Cut(place, "-")
		begin, errBegin := strconv.ParseInt(from, 16, 64)
		end, errEnd := strconv.ParseInt(to, 16, 64)
		if !strings.HasPrefix(rights, "rw") || errBegin != nil || errEnd != nil {
			continue
		}
		for at := begin; at < end; at += int64(len(part) - len(word)) { // a word may lie across two parts
			n, err := mem.ReadAt(part[:min(int64(len(part)), end-at)], at)
			if bytes.Contains(part[:n], []byte(word)) {
				return true
			}
			if err != nil {
				break // the rest of it is not there
			}
		}
	}
	return false
}

// rows: O22, H11, H14, F04
//
// What one tenant's process does is its own affair: it ends alone, is restarted with
// its next call, and rests alone if it does not stop ending. Two that rest are news of
// the program.
func TestATenantsProcessEndsAlone(t *testing.T) {
	t.Parallel()
	told := &moves{}
	s := setup(t, perTenant, func(o *Options) { o.OnMove = told.add })
	b := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	acme, globex := s.pidOf(t, "acme"), s.pidOf(t, "globex")

	done := make(chan error, 1)
	go func() {
		_, err := s.callOf(context.WithoutCancel(t.Context()), "globex", "take", "1000")
		done <- err
	}()
	s.line(t, "zoo-ok", says("taking its time"))
	signal(t, acme, syscall.SIGKILL)
	require.Eventually(t, func() bool { return s.status("zoo-ok").Restarts == 1 }, 30*time.Second, time.Millisecond)
	require.NoError(t, <-done)
	require.Equal(t, globex, s.pidOf(t, "globex"))
	require.Eventually(t, func() bool { // it waits a moment after a crash
		_, err := s.callOf(t.Context(), "acme", "echo", `"hi"`)
		return err == nil
	}, 30*time.Second, time.Millisecond)
	require.NotEqual(t, acme, s.statusOf("acme").PID)

	crashes := func(tenant string) {
		require.Eventually(t, func() bool {
			_, _ = s.callOf(t.Context(), tenant, "die", "")
			return s.statusOf(tenant).State == StateQuarantined
		}, 60*time.Second, 5*time.Millisecond)
	}
	crashes("acme")
	require.Contains(t, s.statusOf("acme").LastError, "rests in quarantine")
	_, err := s.callOf(t.Context(), "acme", "echo", `"hi"`)
	require.ErrorIs(t, err, ErrNotLoaded)
	require.Equal(t, globex, s.pidOf(t, "globex"))
	require.Equal(t, StateServing, s.status("zoo-ok").State)
	states, _ := told.of(store.MachineArtifact, b.Digest)
	require.NotContains(t, states, store.ArtifactQuarantined, "of one tenant's process alone")

	crashes("globex")
	states, reasons := told.of(store.MachineArtifact, b.Digest)
	require.Contains(t, states, store.ArtifactQuarantined)
	require.Contains(t, reasons, "crash_loop")
	s.pidOf(t, "initech") // whom it has done nothing

	require.NoError(t, s.Restart(t.Context(), "zoo-ok"))
	require.NotEqual(t, globex, s.pidOf(t, "globex"))
	s.pidOf(t, "acme")
	told.legal(t)
}

// rows: C60, F07, H22, H24
//
// A new version is proved with settings in processes of their tenants. It replaces the
// process of each tenant beside the old one, whose calls end there, and so does a
// restart; a plugin that is removed leaves none.
func TestEachTenantsProcessIsReplaced(t *testing.T) {
	t.Parallel()
	tried := map[string]int{}
	s := setup(t, perTenant, func(o *Options) {
		o.Verify = func(ctx context.Context, c Candidate) error {
			for _, tenant := range []string{"acme", "globex", "acme", "a", "b", "c", "d"} {
				h, err := c.Acquire(ctx, of(tenant))
				if err != nil {
					return err
				}
				res, err := h.Instance.(sdk.Invoker).Invoke(ctx, sdk.HookCall{Name: "look"}) //nolint:forcetypeassert // Acquire promises it
				h.Release()
				if err != nil {
					return err
				}
				var saw struct{ PID int }
				if err := json.Unmarshal(res.Payload, &saw); err != nil {
					return err
				}
				if before := tried[tenant]; before != 0 && before != saw.PID || tenant != h.process.binary.Tenant {
					return os.ErrInvalid
				}
				tried[tenant] = saw.PID
			}
			return nil
		}
	})
	base := animal(t, "ok")
	one, two := variant(t, base, "1.0.0"), variant(t, base, "2.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{one}))
	before := []int{s.pidOf(t, "acme"), s.pidOf(t, "globex")}
	held, err := s.Acquire(t.Context(), "zoo-ok", of("acme"))
	require.NoError(t, err)
	require.NoError(t, s.Sync(t.Context(), []Binary{two}))
	pids := slices.Compact(slices.Sorted(func(yield func(int) bool) {
		for _, pid := range tried {
			if !yield(pid) {
				return
			}
		}
	}))
	require.Len(t, pids, 6, "a process for each tenant that was tried")
	replaced := func(version string, before []int) (after []int) {
		for i, tenant := range []string{"acme", "globex"} {
			require.Eventually(t, func() bool {
				st := s.statusOf(tenant)
				return st.State == StateServing && st.Version == version && st.PID != before[i]
			}, 30*time.Second, time.Millisecond)
			after = append(after, s.pidOf(t, tenant))
		}
		return after
	}
	after := replaced("2.0.0", before)
	<-held.Draining()
	_, err = held.Instance.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: "echo", Payload: []byte("1")}) //nolint:forcetypeassert // Acquire promises it
	require.NoError(t, err, "what goes on ends where it began")
	held.Release()
	require.NotContains(t, pids, after[0])

	require.NoError(t, s.Restart(t.Context(), "zoo-ok"))
	replaced("2.0.0", after)
	require.NoError(t, s.Sync(t.Context(), nil))
	require.Empty(t, s.Loaded())
	require.Eventually(t, func() bool { return len(s.PIDs()) == 0 }, 30*time.Second, time.Millisecond)
	_, err = s.Acquire(t.Context(), "zoo-ok", of("acme"))
	require.ErrorIs(t, err, ErrNotLoaded)
}

// rows: F04, H22, C60
//
// On probation one tenant's process that ends again and again takes the version from
// nobody else. A second one that does brings the version before back, for all: also for
// the tenant whose process rested.
func TestOneTenantsCrashesAreNoReasonToGoBack(t *testing.T) {
	t.Parallel()
	told := &moves{}
	s := setup(t, perTenant, func(o *Options) { o.OnMove = told.add })
	base := animal(t, "ok")
	one, two := variant(t, base, "1.0.0"), variant(t, base, "2.0.0")
	x := &trialled{bundle: s, one: one, two: two, told: told}
	require.NoError(t, s.Sync(t.Context(), []Binary{one}))
	require.NoError(t, s.Sync(t.Context(), []Binary{two}))
	tenants := []string{"acme", "globex", "initech"}
	for _, tenant := range tenants {
		s.pidOf(t, tenant)
	}
	dies := func(tenant string, until func() bool) {
		require.Eventually(t, func() bool {
			_, _ = s.callOf(t.Context(), tenant, "die", "")
			return until()
		}, 60*time.Second, 5*time.Millisecond)
	}
	dies("acme", func() bool { return x.accusers() == 1 })
	dies("acme", func() bool { return s.statusOf("acme").State == StateQuarantined })
	version := func(tenant string) string {
		out, err := s.callOf(t.Context(), tenant, "version", "")
		require.NoError(t, err)
		return out
	}
	require.Equal(t, `"2.0.0"`, version("globex"))
	served, _ := told.of(store.MachinePlugin, two.Digest)
	require.NotContains(t, served, store.PluginRolledBack)

	dies("globex", func() bool { return x.accusers() == -1 })
	for _, tenant := range tenants {
		require.Eventually(t, func() bool {
			out, err := s.callOf(t.Context(), tenant, "version", "")
			return err == nil && out == `"1.0.0"`
		}, 30*time.Second, 5*time.Millisecond, tenant)
	}
	states, reasons := told.of(store.MachineArtifact, two.Digest)
	at := slices.Index(states, store.ArtifactWithdrawn)
	require.GreaterOrEqual(t, at, 0)
	require.NotContains(t, states[at:], store.ArtifactReady, "a process that starts late does not let it out")
	require.Contains(t, reasons, "crash_loop")
	told.legal(t)
}
