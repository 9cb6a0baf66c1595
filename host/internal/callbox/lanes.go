package callbox

import "sync"

// lanes are the calls that somebody works on in this process.
type lanes struct {
	mu   sync.Mutex // guards busy
	busy map[string]bool
}

func laneKey(integration, external string) string { return integration + "\x00" + external }

// take takes the lane of a call. Who holds it already is told that there is more to
// do.
func (l *lanes) take(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.busy[key]; held {
		l.busy[key] = true
		return false
	}
	l.busy[key] = false
	return true
}

// leave gives a lane back, unless there is more to do: its holder looks again then.
func (l *lanes) leave(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[key] {
		l.busy[key] = false
		return false
	}
	delete(l.busy, key)
	return true
}
