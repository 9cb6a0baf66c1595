package web

import (
	"net/netip"
	"sync"
	"time"
)

// The bounds of requests without a token that is valid, for each address.
const (
	maxFailures   = 60          // at once
	failureEvery  = time.Second // and one more each
	maxRemembered = 4096        // addresses
)

// failures counts them by address.
type failures struct {
	now func() time.Time

	mu   sync.Mutex // guards next
	next map[netip.Prefix]time.Time
}

// note counts one and returns how long its sender has to wait; 0 if it did not come too
// often.
func (f *failures) note(remote string) time.Duration {
	from := sender(remote)
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil || len(f.next) >= maxRemembered && f.next[from].IsZero() {
		f.next = map[netip.Prefix]time.Time{} // many came: each begins anew
	}
	at := f.next[from]
	if at.Before(now) {
		at = now
	}
	if ahead := at.Sub(now) - (maxFailures-1)*failureEvery; ahead > 0 {
		return ahead
	}
	f.next[from] = at.Add(failureEvery)
	return 0
}

// sender returns what stands for who sends: an address, or the network of one in IPv6.
func sender(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr := at.Addr().Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(addr, bits).Masked()
}
