package callbox

import (
	"sync"

	"github.com/jackfield/jackfield/store"
)

// waits are those who wait for what becomes of an event.
type waits struct {
	mu sync.Mutex // guards of
	of map[int64][]chan store.CallEvent
}

// add returns a channel that gets the event after its next attempt.
func (w *waits) add(event int64) chan store.CallEvent {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := make(chan store.CallEvent, 1)
	w.of[event] = append(w.of[event], c)
	return c
}

// drop is told that nobody receives from c any more.
func (w *waits) drop(event int64, c chan store.CallEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.of[event]
	for i := range list {
		if list[i] == c {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(w.of, event)
		return
	}
	w.of[event] = list
}

// tell gives an event to all who wait for it.
func (w *waits) tell(e store.CallEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.of[e.ID] {
		c <- e // it has room for one, and gets one
	}
	delete(w.of, e.ID)
}
