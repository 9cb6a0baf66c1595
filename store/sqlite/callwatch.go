package sqlite

import "sync"

// watchers wait for changes of single calls. It costs a lock while nobody does.
type watchers struct {
	mu sync.Mutex // guards of
	of map[int64]map[chan struct{}]bool
}

// WatchCall returns a channel that gets something after the call changed, however often
// it did before that was received. Whoever looks at the call after it asked misses
// nothing. They have to call stop.
func (b *Inbox) WatchCall(id int64) (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	w := &b.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[int64]map[chan struct{}]bool{}
	}
	if w.of[id] == nil {
		w.of[id] = map[chan struct{}]bool{}
	}
	w.of[id][c] = true
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of[id], c)
		if len(w.of[id]) == 0 {
			delete(w.of, id)
		}
	}
}

// tell tells who watches a call that it changed.
func (w *watchers) tell(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wakeAll(w.of[id])
}

// tellAll tells everybody: many calls changed.
func (w *watchers) tellAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, all := range w.of {
		wakeAll(all)
	}
}

func wakeAll(all map[chan struct{}]bool) {
	for c := range all {
		select {
		case c <- struct{}{}:
		default: // it has not looked since it was told
		}
	}
}
