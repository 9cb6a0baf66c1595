package discovery

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watcher keeps looking at the plugin directory and at the lock.
type Watcher struct {
	scanner *Scanner // Run's alone
	opts    Options
	rescan  chan struct{} // of one: wake-ups coalesce
	hints   func(Options) *hints

	mu      sync.Mutex // guards what follows
	last    []Artifact
	err     error
	waiting []chan struct{} // for a scan that begins from now on
}

// NewWatcher returns a watcher that Run sets to work.
func NewWatcher(opts Options) (*Watcher, error) {
	scanner, err := NewScanner(opts)
	if err != nil {
		return nil, err
	}
	return &Watcher{scanner: scanner, opts: scanner.opts, rescan: make(chan struct{}, 1), hints: newHints}, nil
}

// Rescan asks for a scan soon. It never blocks.
func (w *Watcher) Rescan() {
	select {
	case w.rescan <- struct{}{}:
	default: // one is waiting already
	}
}

// RescanNow asks for a scan and returns when one that began after has ended, well or
// not: Last tells. It fails when ctx ends before.
func (w *Watcher) RescanNow(ctx context.Context) error {
	done := make(chan struct{})
	w.mu.Lock()
	w.waiting = append(w.waiting, done)
	w.mu.Unlock()
	w.Rescan()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaited returns those who wait for a scan that begins now.
func (w *Watcher) awaited() []chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting := w.waiting
	w.waiting = nil
	return waiting
}

// Last returns the last state and why a later scan failed, if it did. The slice
// is the caller's.
func (w *Watcher) Last() ([]Artifact, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.last), w.err
}

// Run scans at once, after events, on request and every Options.Rescan, and
// sends the whole state whenever it differs from the one before. A scan that
// fails sends nothing: what was found stays true. Run returns when ctx ends.
func (w *Watcher) Run(ctx context.Context, out chan<- []Artifact) error {
	hints := w.hints(w.opts)
	defer hints.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var burst time.Time // when the events that wait for a scan began
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev := <-hints.events():
			if hints.matters(ev) {
				now := w.opts.Now()
				if burst.IsZero() {
					burst = now
				}
				timer.Reset(max(0, min(w.opts.Settle, burst.Add(w.opts.MaxSettle).Sub(now))))
			}
			continue
		case err := <-hints.errors():
			w.opts.Log.Debug("plugin directory events were lost", "error", err)
			timer.Reset(w.opts.Settle)
			continue
		case <-w.rescan:
		case <-timer.C:
		}
		burst = time.Time{}
		hints.watch() // before the scan: what happens meanwhile is an event again
		state, changed := w.scan(ctx)
		if changed {
			select {
			case out <- state:
			case <-ctx.Done():
				return nil
			}
		}
		timer.Reset(w.next(state))
	}
}

// scan reports the state and whether it is news.
func (w *Watcher) scan(ctx context.Context) ([]Artifact, bool) {
	waiting := w.awaited()
	defer func() { // when Last has what was found
		for _, done := range waiting {
			close(done)
		}
	}()
	found, err := w.scanner.Scan(ctx)
	if ctx.Err() != nil {
		return nil, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if w.err == nil || w.err.Error() != err.Error() {
			w.opts.Log.Error("scan plugin directory", "dir", w.opts.Dir, "error", err)
		}
		w.err = err
		return nil, false
	}
	w.err = nil
	if w.last != nil && slices.Equal(w.last, found) {
		return found, false
	}
	w.last = found
	return slices.Clone(found), true
}

// next is when to look again: soon while a file is being written.
func (w *Watcher) next(state []Artifact) time.Duration {
	for _, a := range state {
		if a.Verdict == VerdictIncomplete {
			return min(w.opts.Rescan, w.opts.MaxSettle)
		}
	}
	return w.opts.Rescan
}

// maxWatches bounds the directories of packages that are watched.
const maxWatches = 1_000

// hints are the events of the directories. Without them the timer does the work.
type hints struct {
	opts Options
	fs   *fsnotify.Watcher
}

func newHints(opts Options) *hints {
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		opts.Log.Warn("plugin directory is polled only", "every", opts.Rescan, "error", err)
	}
	return &hints{opts: opts, fs: watch}
}

// watch adds the directories again: a watch ends with its directory, and the
// one made in its place has none.
func (h *hints) watch() {
	if h.fs == nil {
		return
	}
	h.add(h.opts.Dir)
	h.add(filepath.Dir(h.opts.Lock))
	entries, err := os.ReadDir(h.opts.Dir)
	if err != nil {
		return // the scan tells
	}
	left := maxWatches
	for _, e := range entries {
		if e.IsDir() && !transient(e.Name()) {
			left = h.watchFolder(filepath.Join(h.opts.Dir, e.Name()), left)
		}
	}
}

// watchFolder adds the directories of a package, up to left of them; those beyond are
// found by the timer. It returns how many are left.
func (h *hints) watchFolder(folder string, left int) int {
	_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir():
			return nil //nolint:nilerr // it was there a moment ago; the scan tells
		case left == 0:
			return fs.SkipAll
		case transient(d.Name()):
			return fs.SkipDir
		}
		left--
		h.add(path)
		return nil
	})
	return left
}

func (h *hints) add(dir string) {
	if err := h.fs.Add(dir); err != nil {
		h.opts.Log.Debug("watch directory", "dir", dir, "error", err)
	}
}

func (h *hints) events() <-chan fsnotify.Event {
	if h.fs == nil {
		return nil
	}
	return h.fs.Events
}

func (h *hints) errors() <-chan error {
	if h.fs == nil {
		return nil
	}
	return h.fs.Errors
}

// matters tells an event of a plugin or of the lock from the lock's neighbours.
func (h *hints) matters(ev fsnotify.Event) bool {
	dir, name := filepath.Clean(h.opts.Dir), filepath.Clean(ev.Name)
	if name == dir || strings.HasPrefix(name, dir+string(filepath.Separator)) {
		return true
	}
	return filepath.Base(ev.Name) == filepath.Base(h.opts.Lock)
}

func (h *hints) close() {
	if h.fs != nil {
		_ = h.fs.Close() // it only ends the watch
	}
}
