package plugin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// call is one call into the plugin that is under way, as the host knows it.
type call struct {
	ctx     context.Context //nolint:containedctx // what the plugin asks during the call ends with it
	cancel  context.CancelCauseFunc
	host    sdk.Host
	asks    chan struct{}
	commits chan struct{}

	mu    sync.Mutex        // guards slots
	slots map[uint64]func() // what gives them back, by the asks that took them
}

// keepSlot keeps a slot that the plugin took until it gives it back. The host frees
// those that are left at the end of the call.
func (c *call) keepSlot(id uint64, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots == nil {
		c.slots = map[uint64]func(){}
	}
	c.slots[id] = release
}

func (c *call) freeSlot(id uint64) {
	c.mu.Lock()
	release := c.slots[id]
	delete(c.slots, id)
	c.mu.Unlock()
	if release != nil {
		release()
	}
}

// A token is random bytes and, after them, a mark that nobody else can make.
const (
	tokenBytes  = 16
	tokenRandom = 8
)

// calls knows those under way by their tokens.
type calls struct {
	key [sha256.Size]byte // of the marks: the tokens of another process have another

	mu      sync.Mutex // guards what follows
	byToken map[string]*call
	lost    error // why no call can be made, nil if it can
}

// begin makes a call of ctx. The caller runs end when it is over.
func (c *calls) begin(ctx context.Context) (_ context.Context, token []byte, end func(), err error) {
	token = make([]byte, tokenRandom, tokenBytes)
	_, _ = rand.Read(token) // never fails
	token = append(token, c.mark(token)...)
	made := &call{host: sdk.HostFrom(ctx), asks: make(chan struct{}, asksPerCall), commits: make(chan struct{}, 1)}
	made.ctx, made.cancel = context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost != nil {
		made.cancel(c.lost)
		return nil, nil, nil, c.lost
	}
	if c.byToken == nil {
		c.byToken = map[string]*call{}
	}
	c.byToken[string(token)] = made
	return made.ctx, token, func() {
		c.mu.Lock()
		delete(c.byToken, string(token))
		c.mu.Unlock()
		made.cancel(nil)
	}, nil
}

func (c *calls) find(token []byte) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byToken[string(token)]
}

// forged reports whether the process cannot have the token from a call of its own, also
// not from one that has ended. None at all is no lie.
func (c *calls) forged(token []byte) bool {
	if len(token) != tokenBytes {
		return len(token) > 0
	}
	return !hmac.Equal(token[tokenRandom:], c.mark(token[:tokenRandom]))
}

// mark is what follows the random bytes of a token.
func (c *calls) mark(random []byte) []byte {
	sum := hmac.New(sha256.New, c.key[:])
	_, _ = sum.Write(random) // never fails
	return sum.Sum(nil)[:tokenBytes-tokenRandom]
}

// lose cancels every call and refuses new ones until found.
func (c *calls) lose(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = cause
	for _, under := range c.byToken {
		under.cancel(cause)
	}
}

func (c *calls) found() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = nil
}

func callToProto(token []byte, handle string) *pluginv1.Call {
	return &pluginv1.Call{Token: token, Handle: handle}
}
