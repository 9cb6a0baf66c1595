package chain_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asked is a call of an endpoint.
type asked struct {
	endpoint string
	given    chain.Given
}

// crm is an integration whose endpoints are functions.
type crm struct {
	flows map[string]chain.Flow
	ends  map[string]func(context.Context, chain.Given) (chain.Answer, error)

	mu   sync.Mutex // guards what follows
	seen []asked
}

var _ chain.Target = (*crm)(nil)

func (c *crm) ID() string                   { return "uid-1" }
func (c *crm) Flow(event string) chain.Flow { return c.flows[event] }
func (c *crm) Number(n string) string       { return n }

func (c *crm) Call(ctx context.Context, endpoint string, g chain.Given) (chain.Answer, error) {
	c.mu.Lock()
	c.seen = append(c.seen, asked{endpoint, g})
	f := c.ends[endpoint]
	c.mu.Unlock()
	if f == nil {
		return chain.Answer{Status: 200}, nil
	}
	return f(ctx, g)
}

func (c *crm) Fingerprint(endpoint string, g chain.Given) (string, error) {
	return fmt.Sprint(endpoint, g.Call["number"], g.Item), nil
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

// fails is an endpoint that always fails.
func fails(e chain.Error) func(context.Context, chain.Given) (chain.Answer, error) {
	return func(context.Context, chain.Given) (chain.Answer, error) { return chain.Answer{Status: e.Status}, &e }
}

func contact(id, name string) chain.Item {
	return chain.Item{Shape: "contact", Values: map[string]string{"id": id, "name": name}}
}

func run(t *testing.T, c *crm, e sdk.CallEvent, context map[string]any) chain.Result {
	t.Helper()
	out, err := chain.New(chain.Options{}).Run(t.Context(), chain.Input{Target: c, Event: e, Context: context})
	require.NoError(t, err)
	return out
}
