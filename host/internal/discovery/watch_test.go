package discovery

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"
)

// watch runs a watcher until the test ends.
func (b *bundle) watch(t *testing.T) (*Watcher, <-chan []Artifact) {
	t.Helper()
	return b.watchBy(t, newHints)
}

// watchBy is watch with what tells of events.
func (b *bundle) watchBy(t *testing.T, hints func(Options) *hints) (*Watcher, <-chan []Artifact) {
	t.Helper()
	w, err := NewWatcher(b.opts)
	require.NoError(t, err)
	w.hints = hints
	ctx, cancel := context.WithCancel(context.Background())
	out, ended := make(chan []Artifact), make(chan error, 1)
	go func() { ended <- w.Run(ctx, out) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return w, out
}

// until reads states up to one that matches.
func until(t *testing.T, out <-chan []Artifact, match func([]Artifact) bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case state := <-out:
			if match(state) {
				return
			}
		case <-timeout:
			require.Fail(t, "the state did not come")
		}
	}
}

func has(file string, verdict Verdict) func([]Artifact) bool {
	return func(state []Artifact) bool {
		for _, a := range state {
			if a.File == file && a.Verdict == verdict {
				return true
			}
		}
		return false
	}
}

func none(state []Artifact) bool { return len(state) == 0 }

// rows: C60, H20
func TestWatcherFollowsTheDirectoryAndTheLock(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan = time.Hour })
	w, out := b.watch(t)
	until(t, out, none)
	body := script("one")
	b.write(t, "slack", body, 0o755)
	until(t, out, has("slack", VerdictUnapproved))
	b.approve(t, "slack", "1.0.0", "slack", body) // in another directory
	until(t, out, has("slack", VerdictApproved))
	require.NoError(t, os.WriteFile(filepath.Join(b.opts.Dir, ".next"), script("two"), 0o755))
	require.NoError(t, os.Rename(filepath.Join(b.opts.Dir, ".next"), filepath.Join(b.opts.Dir, "slack")))
	until(t, out, has("slack", VerdictKept))
	require.NoError(t, os.Remove(filepath.Join(b.opts.Dir, "slack")))
	until(t, out, none)
	last, err := w.Last()
	require.NoError(t, err)
	require.Empty(t, last)
}

// rows: H20, H21
func TestWatcherOutlivesItsDirectory(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan = 50 * time.Millisecond })
	b.write(t, "slack", script("one"), 0o755)
	w, out := b.watch(t)
	until(t, out, has("slack", VerdictUnapproved))
	require.NoError(t, os.RemoveAll(b.opts.Dir))
	require.Eventually(t, func() bool {
		last, err := w.Last()
		return err != nil && len(last) <= 1
	}, time.Minute, time.Millisecond)
	require.NoError(t, os.Mkdir(b.opts.Dir, 0o700))
	b.write(t, "git", script("two"), 0o755)
	until(t, out, has("git", VerdictUnapproved))
}

// rows: H21
func TestRescanOnRequest(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan, o.Settle, o.MaxSettle = time.Hour, time.Hour, time.Hour }) // events are no help
	w, out := b.watch(t)
	until(t, out, none)
	b.write(t, "slack", script("one"), 0o755)
	w.Rescan()
	w.Rescan()
	until(t, out, has("slack", VerdictUnapproved))
}

// rows: H21
func TestRescanReturnsWhenItHasLooked(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan, o.Settle, o.MaxSettle = time.Hour, time.Hour, time.Hour })
	w, out := b.watch(t)
	until(t, out, none)
	for _, name := range []string{"slack", "git", "github"} {
		b.write(t, name, script(name), 0o755)
		require.NoError(t, w.RescanNow(t.Context()))
		last, err := w.Last()
		require.NoError(t, err)
		require.True(t, has(name, VerdictUnapproved)(last), name)
		until(t, out, has(name, VerdictUnapproved))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.RescanNow(ctx), context.Canceled)
}

// What no event tells is found by looking, every half a minute unless somebody says
// otherwise.
//
// rows: F08, H21
func TestLostEventsAreMadeUpFor(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan = 20 * time.Millisecond })
	elsewhere := filepath.Join(t.TempDir(), "build") // the same file: what is written here is no event there
	body := script("one")
	require.NoError(t, os.WriteFile(elsewhere, body, 0o755))
	require.NoError(t, os.Link(elsewhere, filepath.Join(b.opts.Dir, "slack")))
	b.approve(t, "slack", "1.0.0", "slack", body)
	_, out := b.watch(t)
	until(t, out, has("slack", VerdictApproved))
	require.NoError(t, os.WriteFile(elsewhere, script("two"), 0o600))
	until(t, out, has("slack", VerdictKept))
	opts, err := Options{Dir: "a", Lock: "b", Data: "c"}.withDefaults()
	require.NoError(t, err)
	require.Equal(t, 30*time.Second, opts.Rescan)
}

// When the system says that events were lost, all is looked at soon and not at the next
// turn of the timer.
//
// rows: H21, F08
func TestALostEventIsAReasonToLook(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan = time.Hour })
	elsewhere := filepath.Join(t.TempDir(), "build") // the same file: what is written here is no event there
	body := script("one")
	require.NoError(t, os.WriteFile(elsewhere, body, 0o755))
	require.NoError(t, os.Link(elsewhere, filepath.Join(b.opts.Dir, "slack")))
	b.approve(t, "slack", "1.0.0", "slack", body)
	lost := make(chan chan<- error, 1)
	_, out := b.watchBy(t, func(o Options) *hints {
		h := newHints(o)
		lost <- h.fs.Errors
		return h
	})
	until(t, out, has("slack", VerdictApproved))
	require.NoError(t, os.WriteFile(elsewhere, script("two"), 0o600))
	errs := <-lost
	errs <- fsnotify.ErrEventOverflow
	until(t, out, has("slack", VerdictKept))
}

// Where the system tells of no event at all the timer does the work.
//
// rows: H21, F08
func TestWithoutEventsTheTimerDoesTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan = 20 * time.Millisecond })
	_, out := b.watchBy(t, func(o Options) *hints { return &hints{opts: o} })
	until(t, out, none)
	body := script("one")
	b.write(t, "slack", body, 0o755)
	until(t, out, has("slack", VerdictUnapproved))
	b.approve(t, "slack", "1.0.0", "slack", body)
	until(t, out, has("slack", VerdictApproved))
	require.NoError(t, os.Remove(filepath.Join(b.opts.Dir, "slack")))
	until(t, out, none)
}

// A stream of events puts the scan off, but not for ever.
//
// rows: H20
func TestDebounceHasACap(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan, o.Settle, o.MaxSettle = time.Hour, time.Hour, 100*time.Millisecond })
	_, out := b.watch(t)
	until(t, out, none)
	b.write(t, "slack", script("one"), 0o755)
	ctx, cancel := context.WithCancel(t.Context())
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			_ = os.WriteFile(filepath.Join(b.opts.Dir, "slack"), script("more"), 0o600)
			<-tick.C
		}
	}()
	until(t, out, has("slack", VerdictUnapproved))
	cancel()
	<-writing
}
