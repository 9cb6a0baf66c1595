package main

import (
	"net/http"
	"sync"
)

// writes knows what became of requests that may change a remote system. A function
// that fails has changed nothing if each of them did not leave, or was refused.
type writes struct {
	mu      sync.Mutex // guards what follows
	arrived int        // they changed something, or may have
}

// begin counts a request that may change something, until it is known that it did not.
func (w *writes) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived++
}

// undone takes one back: it never left, or was refused.
func (w *writes) undone() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived--
}

func (w *writes) safe() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.arrived == 0
}

// changes reports whether requests of the method may change something.
func changes(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	default:
		return true
	}
}

// refused reports whether a status says that nothing was changed.
func refused(status int) bool {
	return status >= 300 && status < 500 && status != http.StatusRequestTimeout
}
