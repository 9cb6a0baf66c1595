package chain_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asked is a call of an endpoint.
type asked struct {
	endpoint string
	given    chain.Given
}

type ends map[string]func(context.Context, chain.Given) (chain.Answer, error)

// crm is an integration whose endpoints are functions.
type crm struct {
	flow chain.Flow
	ends ends

	mu   sync.Mutex // guards seen
	seen []asked
}

var _ chain.Target = (*crm)(nil)

func (c *crm) ID() string                                      { return "uid-1" }
func (c *crm) Flow(_ string, _ store.CallEventType) chain.Flow { return c.flow }
func (c *crm) As(string, chain.Item) (any, bool)               { return nil, false }
func (c *crm) Number(n string) string                          { return n }

func (c *crm) Call(ctx context.Context, endpoint string, g chain.Given) (chain.Answer, error) {
	c.mu.Lock()
	g.Context = maps.Clone(g.Context)
	c.seen = append(c.seen, asked{endpoint, g})
	c.mu.Unlock()
	f := c.ends[endpoint]
	if f == nil {
		return chain.Answer{Status: 200}, nil
	}
	return f(ctx, g)
}

func (c *crm) Fingerprint(endpoint string, g chain.Given) (string, error) {
	return fmt.Sprint(endpoint, g.Call["number"], g.Item), nil
}

// input is an event of a call that comes in.
func (c *crm) input(event, hook string) chain.Input {
	return chain.Input{Target: c, Name: hook, Hook: sdk.CallHook{
		Event: sdk.CallEvent{Type: event, CallID: "call-1", Direction: "in", From: "+49301234567", To: "100"}, IdempotencyKey: "k-1",
	}}
}

// names returns the endpoints that were called, in their order.
func (c *crm) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []string{}
	for _, a := range c.seen {
		out = append(out, a.endpoint)
	}
	return out
}

// says is an endpoint that always answers the same.
func says(a chain.Answer) func(context.Context, chain.Given) (chain.Answer, error) {
	return func(context.Context, chain.Given) (chain.Answer, error) { return a, nil }
}

func contact(id string) chain.Item {
	return chain.Item{Shape: "contact", Values: map[string]string{"id": id, "name": "Ann"}}
}

// run runs a flow that does not fail. Time stands still, so that facts can be compared.
func run(t *testing.T, in chain.Input) chain.Result {
	t.Helper()
	out := chain.New(still()).Run(t.Context(), in)
	require.Nil(t, out.Err)
	return out
}

func still() chain.Options {
	now := time.Unix(1_800_000_000, 0)
	return chain.Options{Now: func() time.Time { return now }}
}
