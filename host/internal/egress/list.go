package egress

import (
	"strings"
	"sync"

	"github.com/jackfield/jackfield/host/internal/address"
)

// List is what one process may connect to. Its methods may be called from several
// goroutines.
type List struct {
	mu     sync.RWMutex            // guards what follows
	named  map[address.Pattern]int // how often
	shrunk func()                  // called when it has less than before
}

// NewList returns a list that allows nothing.
func NewList() *List { return &List{named: map[address.Pattern]int{}, shrunk: func() {}} }

// Add allows more, until the function that it returns is called, once or more often.
// What several add stays until all have taken it away.
func (l *List) Add(patterns ...address.Pattern) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range patterns {
		l.named[p]++
	}
	var once sync.Once
	return func() { once.Do(func() { l.remove(patterns) }) }
}

func (l *List) remove(patterns []address.Pattern) {
	l.mu.Lock()
	gone := false
	for _, p := range patterns {
		if l.named[p]--; l.named[p] == 0 {
			delete(l.named, p)
			gone = true
		}
	}
	shrunk := l.shrunk
	l.mu.Unlock()
	if gone {
		shrunk()
	}
}

// onShrink has fn called when something is gone from the list.
func (l *List) onShrink(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shrunk = fn
}

// Allows reports whether the list has the host, in its one form, with the port. It
// takes as long for a list of many.
func (l *List) Allows(host string, port uint16) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.named[address.Pattern{Host: host, Port: port}] > 0 {
		return true
	}
	for _, domain, ok := strings.Cut(host, "."); ok; _, domain, ok = strings.Cut(domain, ".") {
		if l.named[address.Pattern{Host: domain, Below: true, Port: port}] > 0 {
			return true
		}
	}
	return false
}
