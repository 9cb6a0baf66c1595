package config

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/hashicorp/go-hclog"
)

// WatchOptions say how patient a Watcher is. The zero options mean what the fields
// say.
type WatchOptions struct {
	Settle time.Duration // from the last change of a file to reading; 200 ms if zero
	Most   time.Duration // from the first change to reading; 1 s if zero
	Rescan time.Duration // between readings without any change; 30 s if zero
	Log    hclog.Logger  // silent if nil
}

// Watcher reads the configuration again when its files change.
type Watcher struct {
	file   string
	opts   Options
	watch  WatchOptions
	reload chan struct{} // of one: wake-ups coalesce
	hints  func(hclog.Logger) (*hints, error)
}

// NewWatcher returns a Watcher of host.yaml at file and the tenants directory that
// it names. It starts nothing.
func NewWatcher(file string, opts Options, watch WatchOptions) *Watcher {
	watch.Settle = cmp.Or(watch.Settle, 200*time.Millisecond)
	watch.Most = cmp.Or(watch.Most, time.Second)
	watch.Rescan = cmp.Or(watch.Rescan, 30*time.Second)
	if watch.Log == nil {
		watch.Log = hclog.NewNullLogger()
	}
	return &Watcher{file: file, opts: opts, watch: watch, reload: make(chan struct{}, 1), hints: newHints}
}

// Reload makes Run read the configuration soon, and apply it although nothing
// changed. It does not wait.
func (w *Watcher) Reload() {
	select {
	case w.reload <- struct{}{}:
	default: // a wake-up is already waiting
	}
}

// Run reads the configuration and hands it to apply: at first, and then each time
// when it means something else than before. Events of the file system are hints;
// what counts is what the files say, and every 30 s they are read without a hint.
// Run calls apply itself, one call at a time, and returns when ctx ends.
func (w *Watcher) Run(ctx context.Context, apply func(context.Context, Snapshot)) error {
	hints, err := w.hints(w.watch.Log)
	if err != nil {
		w.watch.Log.Warn("files are not watched, only read again at times", "error", err, "rescan", w.watch.Rescan)
	}
	defer hints.close()
	// A timer each for the three reasons to read; all are Run's alone.
	settle, most, rescan := stopped(), stopped(), time.NewTimer(w.watch.Rescan)
	defer settle.Stop()
	defer most.Stop()
	defer rescan.Stop()
	last, forced := "", false
	for {
		pending := false
		snap := Load(w.file, w.opts)
		hints.follow(filepath.Dir(w.file), snap.Host.Tenants, snap.Host.Templates)
		if forced || snap.Sum != last {
			apply(ctx, snap)
		}
		last, forced = snap.Sum, false
		settle.Stop()
		most.Stop()
		rescan.Reset(w.watch.Rescan)
		for wait := true; wait; {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case event := <-hints.events():
				if !w.concerns(event, snap.Host.Tenants, snap.Host.Templates) {
					continue
				}
				settle.Reset(w.watch.Settle)
				if !pending {
					most.Reset(w.watch.Most)
				}
				pending = true
			case err := <-hints.errors():
				// Events were lost, mostly since too many came at once: any file may have changed.
				w.watch.Log.Warn("watch files", "error", err)
				settle.Reset(w.watch.Settle)
				if !pending {
					most.Reset(w.watch.Most)
				}
				pending = true
			case <-w.reload:
				forced, wait = true, false
			case <-settle.C:
				wait = false
			case <-most.C:
				wait = false
			case <-rescan.C:
				wait = false
			}
		}
	}
}

// concerns reports whether an event may change what the files say. The directory of
// host.yaml has other files, which may change all the time.
func (w *Watcher) concerns(event fsnotify.Event, dirs ...string) bool {
	if event.Op == fsnotify.Chmod {
		return false
	}
	name := filepath.Base(event.Name)
	directory := slices.ContainsFunc(dirs, func(dir string) bool { return name == filepath.Base(dir) })
	return tenantFile(name) || strings.HasPrefix(name, "..") || name == filepath.Base(w.file) || directory
}

func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// hints are the events of the directories that are watched. A nil *hints has none.
type hints struct {
	watcher *fsnotify.Watcher
	log     hclog.Logger
	dirs    map[string]os.FileInfo // watched, as they were then
}

func newHints(log hclog.Logger) (*hints, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &hints{watcher: watcher, log: log, dirs: map[string]os.FileInfo{}}, nil
}

func (h *hints) events() <-chan fsnotify.Event {
	if h == nil {
		return nil
	}
	return h.watcher.Events
}

func (h *hints) errors() <-chan error {
	if h == nil {
		return nil
	}
	return h.watcher.Errors
}

// follow watches the directories: not files, which editors replace. A directory
// that was replaced is watched anew.
func (h *hints) follow(dirs ...string) {
	if h == nil {
		return
	}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if old := h.dirs[dir]; old != nil && (err != nil || !os.SameFile(old, info)) {
			_ = h.watcher.Remove(dir) // gone with its directory already, mostly
			delete(h.dirs, dir)
		}
		if err != nil || h.dirs[dir] != nil {
			continue
		}
		if err := h.watcher.Add(dir); err != nil {
			h.log.Warn("directory is not watched, only read at times", "dir", dir, "error", err)
			continue
		}
		h.dirs[dir] = info
	}
}

func (h *hints) close() {
	if h == nil {
		return
	}
	_ = h.watcher.Close() // nothing can be done about it
}
