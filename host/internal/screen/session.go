package screen

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackfield/jackfield/store"
)

// session is one opened screen.
type session struct {
	id    string // stands in addresses, and is no secret
	scope Scope
	until time.Time // whatever the call does
	sum   [sha256.Size]byte
	key   []byte        // of its tokens
	gone  chan struct{} // closed when it ends
	why   string        // it ended; only to be read then

	mu      sync.Mutex // guards what follows
	used    time.Time  // when a request came last
	streams int
	acts    map[string]*doing // by their keys; the newest maxActs
	recent  []string          // their keys, oldest first
	told    *Outcome          // shown until toldTo
	toldTo  time.Time
}

// csrf returns the token that the session's forms carry.
func (s *session) csrf() string { return s.mac("csrf") }

// actKey returns what names an act of a form: the same for the same values of one page
// that was shown, so that a form that is sent twice has one effect.
func (s *session) actKey(form, once string, values map[string]string) string {
	var what strings.Builder
	fmt.Fprintf(&what, "act %s %q", form, once)
	for _, name := range sortedKeys(values) {
		fmt.Fprintf(&what, " %q=%q", name, values[name])
	}
	return s.id + "-" + s.mac(what.String())
}

func (s *session) mac(what string) string {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(what))
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// doing is an act that is under way, or was done.
type doing struct {
	over chan struct{} // closed when it is; what follows is only read then
	out  Outcome
	err  error
}

// once does what has a key, if nobody did: who asks for it again, or meanwhile, has what
// came of the first. One that came to nothing is done again.
func (s *session) once(ctx context.Context, key string, do func(ctx context.Context) (Outcome, error)) (Outcome, error) {
	for {
		a, first := s.begin(key)
		if first {
			a.out, a.err = do(ctx)
			s.end(key, a)
			return a.out, a.err
		}
		select {
		case <-a.over:
		case <-ctx.Done():
			return Outcome{}, context.Cause(ctx)
		}
		if a.err == nil {
			return a.out, nil
		}
	}
}

// begin returns the act of a key, and whether the caller is to do it.
func (s *session) begin(key string) (a *doing, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.acts[key]; a != nil {
		return a, false
	}
	if s.acts == nil {
		s.acts = map[string]*doing{}
	}
	a = &doing{over: make(chan struct{})}
	s.acts[key] = a
	if s.recent = append(s.recent, key); len(s.recent) > maxActs { // whoever keeps events knows its key
		delete(s.acts, s.recent[0])
		s.recent = slices.Delete(s.recent, 0, 1)
	}
	return a, true
}

// end tells who waits that an act is over, and forgets one that came to nothing.
func (s *session) end(key string, a *doing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.err != nil && s.acts[key] == a {
		delete(s.acts, key)
		s.recent = slices.DeleteFunc(s.recent, func(k string) bool { return k == key })
	}
	close(a.over)
}

// remember keeps what to tell of an act.
func (s *session) remember(o Outcome, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told, s.toldTo = &o, now.Add(tellFor)
}

// tell returns what is to be told: for a while, since a page reads itself again when
// its call changes.
func (s *session) tell(now time.Time) *Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !now.Before(s.toldTo) {
		s.told = nil
	}
	return s.told
}

// enter takes a place for a stream; there are two, since a browser may open the next
// before the last is closed.
func (s *session) enter(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams+n > maxStreams {
		return false
	}
	s.streams += n
	return true
}

// touch notes that a request came.
func (s *session) touch(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = now
}

// left reports whether nobody looks at it any more: its page was closed, and nobody tells
// a host of that.
func (s *session) left(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams == 0 && !now.Before(s.used.Add(leftAfter))
}

const (
	maxStreams = 2 // of a session
	tellFor    = 30 * time.Second
	maxActs    = 256 // that a session knows what came of
)

// sessions are the open screens.
type sessions struct {
	mu   sync.Mutex // guards what follows
	byID map[string]*session
	past map[string]*session // ended for a reason that their agents are told
}

// open makes a session and returns the secret of its cookie.
func (t *sessions) open(s Scope, now time.Time) (made *session, secret string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.byID) >= maxSessions || t.of(s.Tenant) >= maxPerTenant {
		t.end(func(o *session) bool { return !now.Before(o.until) || o.left(now) })
	}
	switch {
	case len(t.byID) >= maxSessions:
		return nil, "", fmt.Errorf("%w: %d screens are open", store.ErrLimit, maxSessions)
	case t.of(s.Tenant) >= maxPerTenant:
		return nil, "", fmt.Errorf("%w: %d screens of the tenant are open", store.ErrLimit, maxPerTenant)
	}
	t.crowd(s)
	secret = newSecret()
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails
	made = &session{
		id: strings.ToLower(rand.Text()), scope: s, until: now.Add(sessionLife), sum: sha256.Sum256([]byte(secret)),
		key: key, gone: make(chan struct{}), used: now,
	}
	t.byID[made.id] = made
	return made, secret, nil
}

// of returns how many sessions a tenant has. The caller holds mu.
func (t *sessions) of(tenant string) (n int) {
	for _, o := range t.byID {
		if o.scope.Tenant == tenant {
			n++
		}
	}
	return n
}

// crowd ends the oldest sessions of a call that has too many. The caller holds mu.
func (t *sessions) crowd(s Scope) {
	var same []*session
	for _, o := range t.byID {
		if o.scope.Tenant == s.Tenant && o.scope.Integration == s.Integration && o.scope.Call == s.Call {
			same = append(same, o)
		}
	}
	if len(same) < maxPerCall {
		return
	}
	slices.SortFunc(same, func(a, b *session) int { return a.until.Compare(b.until) })
	oldest := same[0]
	t.end(func(o *session) bool { return o == oldest })
}

// get returns the session that a cookie opens.
func (t *sessions) get(id, secret string, now time.Time) (*session, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.byID[id]
	if !ok {
		return nil, false
	}
	sum := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(sum[:], s.sum[:]) != 1 || !now.Before(s.until) {
		return s, false
	}
	s.touch(now)
	return s, true
}

// known reports whether there is a session of that id.
func (t *sessions) known(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id] != nil
}

// revoke ends the sessions that match.
func (t *sessions) revoke(match func(Scope) bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.end(func(s *session) bool { return match(s.scope) })
}

// end drops sessions. The caller holds mu.
func (t *sessions) end(which func(*session) bool) (n int) {
	for id, s := range t.byID {
		if which(s) {
			delete(t.byID, id)
			close(s.gone)
			t.remember(s)
			n++
		}
	}
	return n
}

// remember keeps for a while why a session ended: each request that is on its way is
// told the same. The caller holds mu.
func (t *sessions) remember(s *session) {
	if s.why == "" {
		return
	}
	if t.past == nil || len(t.past) >= maxPast {
		t.past = map[string]*session{}
	}
	t.past[s.id] = s
}

// ending returns why the session that a cookie opened ended; empty if that is not known.
func (t *sessions) ending(id, secret string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.past[id]
	if sum := sha256.Sum256([]byte(secret)); !ok || subtle.ConstantTimeCompare(sum[:], s.sum[:]) != 1 {
		return ""
	}
	return s.why
}
