package egress

import (
	"container/list"
	"net/http"
	"sync"
	"time"
)

// The bounds of Transports.
const (
	maxTransports = 512             // that are kept; of more users, those who asked last have theirs
	transportRest = 5 * time.Minute // after which nobody has a use for one: longer than any request takes
)

// Transports are transports of many users, each with one of its own: who holds all the
// connections that it may have to a host is in nobody else's way, and nobody is given a
// connection that another one opened. One is made when it is first asked for and
// forgotten when it is not for a while. Its methods may be called from several
// goroutines.
type Transports struct {
	guard *Guard
	opts  ClientOptions
	most  int
	now   func() time.Time

	mu     sync.Mutex // guards what follows
	byUser map[string]*list.Element
	recent *list.List // of *userTransport, who asked last first
}

type userTransport struct {
	user string
	at   time.Time // when it was asked for the last time
	*checked
}

// Transports returns transports that connect through the guard, as Client does.
func (g *Guard) Transports(opts ClientOptions) *Transports {
	return &Transports{guard: g, opts: opts.defaults(), most: maxTransports, now: time.Now, byUser: map[string]*list.Element{}, recent: list.New()}
}

// For returns the transport of a user, to be asked for anew for each request.
func (t *Transports) For(user string) http.RoundTripper {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if at := t.byUser[user]; at != nil {
		u := at.Value.(*userTransport) //nolint:forcetypeassert // nothing else is put there
		u.at = now
		t.recent.MoveToFront(at)
		return u
	}
	u := &userTransport{user: user, at: now, checked: t.guard.transport(t.opts)}
	t.byUser[user] = t.recent.PushFront(u)
	for back := t.recent.Back(); t.recent.Len() > t.most || now.Sub(back.Value.(*userTransport).at) > transportRest; back = t.recent.Back() { //nolint:forcetypeassert // as above
		t.drop(back)
	}
	return u
}

// Renew forgets all transports: no request that comes uses a connection from before.
// Requests under way end as they would.
func (t *Transports) Renew() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.recent.Len() > 0 {
		t.drop(t.recent.Back())
	}
}

// drop forgets one. What is under way ends, and its connections with it, once they are
// idle. The caller holds mu.
func (t *Transports) drop(at *list.Element) {
	u := t.recent.Remove(at).(*userTransport) //nolint:forcetypeassert // as above
	delete(t.byUser, u.user)
	u.CloseIdleConnections()
}
