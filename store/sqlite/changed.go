package sqlite

import "sync"

// news tells who waits that something was written. It costs a lock while nobody
// does.
type news struct {
	mu   sync.Mutex // guards next
	next chan struct{}
}

// Changed returns a channel that is closed after the next write. One who looks
// at the store after it asked misses nothing.
func (db *DB) Changed() <-chan struct{} { return db.news.changed() }

func (n *news) changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == nil {
		n.next = make(chan struct{})
	}
	return n.next
}

func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next != nil {
		close(n.next)
		n.next = nil
	}
}
