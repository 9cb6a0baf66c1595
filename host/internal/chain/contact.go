package chain

import (
	"container/list"
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// maxKnown bounds an answer that is kept, as a number of its values.
const maxKnown = 4_000

// lookupTime bounds a lookup that several wait for: whoever gives up waiting stops it
// for nobody else.
const lookupTime = 30 * time.Second

// known are contacts that were found some seconds ago, by integration and request.
type known struct {
	fresh, nobody time.Duration
	most          int
	now           func() time.Time
	flight        singleflight.Group

	mu     sync.Mutex // guards what follows
	byKey  map[string]*list.Element
	recent *list.List     // of *entry, the newest first
	ages   map[string]int // by integration: how often it was forgotten while lookups were under way
	flying map[string]int // by integration: lookups under way
}

type entry struct {
	key, id string
	answer  Answer
	until   time.Time
}

func newKnown(opts Options) *known {
	return &known{
		fresh: opts.Fresh, nobody: opts.Nobody, most: opts.MaxContacts, now: opts.Now,
		byKey: map[string]*list.Element{}, recent: list.New(), ages: map[string]int{}, flying: map[string]int{},
	}
}

// call returns what is known, or asks: however many ask the same, the remote system
// is asked once.
func (k *known) call(ctx context.Context, t Target, endpoint string, g Given) (a Answer, cached bool, err error) {
	mark, err := t.Fingerprint(endpoint, g)
	if err != nil {
		return Answer{}, false, err
	}
	id := t.ID()
	key := strings.Join([]string{id, endpoint, mark}, "\x00")
	if a, ok := k.get(key); ok {
		return a, true, nil
	}
	age := k.begin(id)
	defer k.end(id)
	// Who asks after the contacts were forgotten does not join a lookup from before.
	answers := k.flight.DoChan(key+"\x00"+strconv.Itoa(age), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTime)
		defer cancel()
		k.begin(id)
		defer k.end(id)
		a, err := t.Call(ctx, endpoint, g)
		if err == nil {
			k.put(entry{key: key, id: id, answer: a}, age)
		}
		return a, err
	})
	select {
	case got := <-answers:
		a, _ := got.Val.(Answer)
		return a, got.Shared, got.Err
	case <-ctx.Done():
		return Answer{}, false, ended(ctx)
	}
}

// begin counts a lookup that is under way, and returns the integration's age.
func (k *known) begin(id string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.flying[id]++
	return k.ages[id]
}

func (k *known) end(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flying[id]--; k.flying[id] == 0 {
		delete(k.flying, id)
		delete(k.ages, id)
	}
}

func (k *known) get(key string) (Answer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.byKey[key]
	if at == nil {
		return Answer{}, false
	}
	e := at.Value.(*entry) //nolint:forcetypeassert // nothing else is put there
	if !k.now().Before(e.until) {
		k.drop(at)
		return Answer{}, false
	}
	k.recent.MoveToFront(at)
	return e.answer, true
}

// put keeps an answer, unless the integration was forgotten since it was asked for.
func (k *known) put(e entry, age int) {
	if !small(e.answer.Body, maxKnown) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ages[e.id] != age {
		return
	}
	ttl := k.fresh
	if len(e.answer.Items) == 0 {
		ttl = k.nobody
	}
	e.until = k.now().Add(ttl)
	if at := k.byKey[e.key]; at != nil {
		k.drop(at)
	}
	k.byKey[e.key] = k.recent.PushFront(&e)
	for k.recent.Len() > k.most {
		k.drop(k.recent.Back())
	}
}

// drop takes an entry out. The caller holds mu.
func (k *known) drop(at *list.Element) {
	e := k.recent.Remove(at).(*entry) //nolint:forcetypeassert // as above
	delete(k.byKey, e.key)
}

// forget drops what is known of an integration, and what is being asked for.
func (k *known) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flying[id] > 0 {
		k.ages[id]++
	}
	for at := k.recent.Front(); at != nil; {
		next := at.Next()
		if at.Value.(*entry).id == id { //nolint:forcetypeassert // as above
			k.drop(at)
		}
		at = next
	}
}

// small reports whether a tree has no more than most values, a text counting by its
// length.
func small(v any, most int) bool { return weight(v, most) <= most }

func weight(v any, most int) int {
	n := 1
	switch v := v.(type) {
	case string:
		n += len(v) / 16
	case []any:
		for _, sub := range v {
			if n += weight(sub, most-n); n > most {
				return n
			}
		}
	case map[string]any:
		for _, sub := range v {
			if n += weight(sub, most-n); n > most {
				return n
			}
		}
	}
	return n
}
