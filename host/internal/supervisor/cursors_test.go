//go:build linux

package supervisor

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// shelf is a Cursors that counts.
type shelf struct {
	mu              sync.Mutex // guards what follows
	digest          string
	kept, restored  int
	noKeep, failing error
	onRestore       func()
}

func (k *shelf) Keep(_ context.Context, _, digest string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept++
	if k.noKeep == nil {
		k.digest = digest
	}
	return k.noKeep
}

func (k *shelf) Kept(context.Context, string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.digest, nil
}

func (k *shelf) Restore(context.Context, string, string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.restored++
	if k.onRestore != nil {
		k.onRestore()
	}
	err := k.failing
	k.failing = nil
	return err
}

func (k *shelf) counts() (kept, restored int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept, k.restored
}

// writing says which version of state a program writes; it reads that and the one
// before.
func writing(t *testing.T, b Binary, version int) Binary {
	t.Helper()
	require.NoError(t, os.WriteFile(b.Path+".writes", []byte(strconv.Itoa(version)), 0o600))
	return b
}

// yields says that a program may write the version of state before its own.
func yields(t *testing.T, b Binary) {
	t.Helper()
	require.NoError(t, os.WriteFile(b.Path+".yields", []byte("yes"), 0o600))
}

// fails reports calls that failed, until the version that serves is doubted.
func (x *trialled) fails(t *testing.T) {
	t.Helper()
	h, err := x.Acquire(t.Context(), "zoo-ok", integration(1))
	require.NoError(t, err)
	defer h.Release()
	for range probationFailures {
		h.Report(true)
	}
	<-h.Draining()
}

// rows: K17, F07
//
// A version that writes what the one before does not read begins when the cursors were
// copied, and gives way with them: when nothing of it works any more they come back, and
// then the one before serves.
func TestTheWayBackFromANewState(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T, k *shelf, from, to int) *trialled {
		t.Helper()
		told := &moves{}
		s := setup(t, func(o *Options) { o.OnMove, o.MinRestartDelay, o.Cursors = told.add, time.Millisecond, k })
		base := animal(t, "ok")
		x := &trialled{bundle: s, one: writing(t, variant(t, base, "1.0.0"), from), two: writing(t, variant(t, base, "2.0.0"), to), told: told}
		require.NoError(t, s.Sync(t.Context(), []Binary{x.one}))
		return x
	}
	t.Run("CursorsComeBackBeforeTheOldServes", func(t *testing.T) {
		t.Parallel()
		k := &shelf{}
		x := begin(t, k, 1, 2)
		require.NoError(t, x.Sync(t.Context(), []Binary{x.two}))
		require.Equal(t, x.two.Digest, k.digest)
		bad := x.status("zoo-ok").PID
		var alive error
		var loaded []string
		k.onRestore = func() { alive, loaded = syscall.Kill(bad, 0), x.Loaded() }
		x.fails(t)
		x.back(t, "error_rate")
		kept, restored := k.counts()
		require.Equal(t, []int{1, 1}, []int{kept, restored})
		require.ErrorIs(t, alive, syscall.ESRCH, "it could write what the old one does not read")
		require.Empty(t, loaded, "nobody may begin meanwhile")
	})
	t.Run("WhatTheOldOneReadsIsNotCopied", func(t *testing.T) {
		t.Parallel()
		k := &shelf{}
		x := begin(t, k, 2, 1)
		require.NoError(t, x.Sync(t.Context(), []Binary{x.two}))
		x.fails(t)
		x.back(t, "error_rate")
		kept, restored := k.counts()
		require.Equal(t, []int{0, 0}, []int{kept, restored})
	})
	t.Run("WithoutACopyItDoesNotBegin", func(t *testing.T) {
		t.Parallel()
		k := &shelf{noKeep: errors.New("the disk is full")}
		x := begin(t, k, 1, 2)
		require.ErrorContains(t, x.Sync(t.Context(), []Binary{x.two}), "there would be no way back from it: the disk is full")
		require.Equal(t, x.one.Digest, x.status("zoo-ok").Digest)
		_, reasons := x.told.of(store.MachineArtifact, x.two.Digest)
		require.Equal(t, []string{"cursors_not_kept"}, reasons)
	})
	t.Run("ACopyThatDoesNotComeBackKeepsTheNew", func(t *testing.T) {
		t.Parallel()
		k := &shelf{failing: errors.New("the disk is full")}
		x := begin(t, k, 1, 2)
		require.NoError(t, x.Sync(t.Context(), []Binary{x.two}))
		pid := x.status("zoo-ok").PID
		x.fails(t)
		require.Eventually(t, func() bool {
			st := x.status("zoo-ok")
			return st.State == StateServing && st.PID != pid
		}, time.Minute, time.Millisecond)
		require.Equal(t, x.two.Digest, x.status("zoo-ok").Digest, "the old one would not read what there is")
		x.fails(t)
		x.back(t, "error_rate")
		_, restored := k.counts()
		require.Equal(t, 2, restored)
	})
	t.Run("AlsoAfterARestartOfTheHost", func(t *testing.T) {
		t.Parallel()
		told := &moves{}
		base := animal(t, "ok")
		one, two := writing(t, variant(t, base, "1.0.0"), 1), writing(t, variant(t, base, "2.0.0"), 2)
		k := &shelf{digest: two.Digest}
		s := setup(t, func(o *Options) {
			o.OnMove, o.MinRestartDelay, o.Cursors = told.add, time.Millisecond, k
			o.Resume = func(b Binary) (Binary, time.Time, bool) { return one, time.Now().Add(time.Hour), b == two }
		})
		require.NoError(t, s.Sync(t.Context(), []Binary{two}))
		x := &trialled{bundle: s, one: one, two: two, told: told}
		for range probationEnds {
			x.die(t)
		}
		x.back(t, "crash_loop")
		_, restored := k.counts()
		require.Equal(t, 1, restored)
	})
}

// rows: F07
//
// How long a probation and a drain are may change while the host runs.
func TestPatienceChanges(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.DrainTimeout = 24 * time.Hour })
	base := animal(t, "ok")
	one, two := variant(t, base, "1.0.0"), variant(t, base, "2.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{one}))
	h, err := s.Acquire(t.Context(), "zoo-ok", integration(1))
	require.NoError(t, err)
	defer h.Release()
	s.SetPatience(time.Hour, 0)
	require.Equal(t, patience{time.Hour, 24 * time.Hour}, *s.patience.Load(), "zero leaves it")
	s.SetPatience(0, time.Millisecond)
	before := time.Now()
	require.NoError(t, s.Sync(t.Context(), []Binary{two}))
	until := s.actor("zoo-ok").tested().until
	require.WithinRange(t, until, before.Add(time.Hour), time.Now().Add(time.Hour))
	require.Eventually(t, func() bool { return len(s.PIDs()) == 1 }, time.Minute, time.Millisecond, "a call that is not over holds it up no longer")
}

// writes returns which version of state the process that serves is told to write.
func (x *trialled) writes(t *testing.T) string {
	t.Helper()
	return x.call(t, "zoo-ok", "writes")
}

// rows: K17
//
// A version that may write what the one before reads does so in its probation: nothing
// has to be copied, and it gives way at any time. Then it writes its own, over a restart
// of its process too.
func TestANewVersionWritesTheOldStateInItsProbation(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T, k *shelf, ahead *atomic.Int64, change ...func(*Options)) *trialled {
		t.Helper()
		told := &moves{}
		s := setup(t, append([]func(*Options){func(o *Options) {
			o.OnMove, o.MinRestartDelay, o.Cursors = told.add, time.Millisecond, k
			o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		}}, change...)...)
		base := animal(t, "ok")
		x := &trialled{bundle: s, one: writing(t, variant(t, base, "1.0.0"), 1), two: writing(t, variant(t, base, "2.0.0"), 2), told: told}
		yields(t, x.two)
		return x
	}
	states := func(x *trialled) (all []int) {
		x.told.mu.Lock()
		defer x.told.mu.Unlock()
		for _, m := range x.told.all {
			if m.Machine == store.MachinePlugin && m.Digest == x.two.Digest {
				all = append(all, m.StateWrites)
			}
		}
		return all
	}
	t.Run("UntilItIsProven", func(t *testing.T) {
		t.Parallel()
		k, ahead := &shelf{}, &atomic.Int64{}
		x := begin(t, k, ahead)
		require.NoError(t, x.Sync(t.Context(), []Binary{x.one}))
		require.Equal(t, "0", x.writes(t))
		require.NoError(t, x.Sync(t.Context(), []Binary{x.two}))
		require.Equal(t, "1", x.writes(t))
		x.die(t)
		require.Equal(t, "1", x.writes(t), "also of its next process")
		h, err := x.AcquireAlone(t.Context(), "zoo-ok", integration(1))
		require.NoError(t, err)
		require.Equal(t, 1, int(h.process.writes.Load()), "and of one that has a call for itself")
		h.Release()
		ahead.Store(int64(time.Hour))
		require.Eventually(t, func() bool { return x.writes(t) == "0" }, time.Minute, 10*time.Millisecond)
		all := states(x)
		require.Equal(t, []int{1, 2}, []int{all[0], all[len(all)-1]})
		kept, restored := k.counts()
		require.Equal(t, []int{0, 0}, []int{kept, restored})
		x.die(t)
		require.Equal(t, "0", x.writes(t))
		x.told.legal(t)
	})
	t.Run("AndGivesWayWithoutACopy", func(t *testing.T) {
		t.Parallel()
		k := &shelf{}
		x := begin(t, k, &atomic.Int64{})
		require.NoError(t, x.Sync(t.Context(), []Binary{x.one}))
		require.NoError(t, x.Sync(t.Context(), []Binary{x.two}))
		x.fails(t)
		x.back(t, "error_rate")
		require.Equal(t, "0", x.writes(t))
		kept, restored := k.counts()
		require.Equal(t, []int{0, 0}, []int{kept, restored})
	})
	t.Run("AlsoAfterARestartOfTheHost", func(t *testing.T) {
		t.Parallel()
		var x *trialled
		ahead := &atomic.Int64{}
		x = begin(t, &shelf{}, ahead, func(o *Options) {
			until := time.Now().Add(30 * time.Minute)
			o.Resume = func(b Binary) (Binary, time.Time, bool) { return x.one, until, b == x.two }
			o.Manifest = func(digest string) (sdk.Manifest, bool) {
				return sdk.Manifest{State: sdk.StateVersions{Writes: 1, Reads: []int{0, 1}}}, digest == x.one.Digest
			}
		})
		require.NoError(t, x.Sync(t.Context(), []Binary{x.two}))
		require.Equal(t, "1", x.writes(t))
		require.Equal(t, []int{1}, states(x))
		ahead.Store(int64(time.Hour))
		require.Eventually(t, func() bool { return x.writes(t) == "0" }, time.Minute, 10*time.Millisecond)
	})
}
