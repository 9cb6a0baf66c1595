package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const describes = "schema: 1\nname: acme\nversion: 1.0.0\nruntime: js\n"

// made is a folder of these files.
func made(files map[string]string) (*functions, error) {
	from := fstest.MapFS{"plugin.yaml": {Data: []byte(describes + "manifest:\n  settings:\n    api_key: {type: string, secret: true}\n")}}
	for name, text := range files {
		from[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return load(from)
}

// world is a plugin of one file, opened for an integration, and its host.
type opened struct {
	t    *testing.T
	i    *instance
	host *fakeHost
}

func open(t *testing.T, code string) opened {
	t.Helper()
	f, err := made(map[string]string{"function.ts": code})
	require.NoError(t, err)
	return openFor(t, f, "acme", `{"api_key":"k"}`)
}

func openFor(t *testing.T, f *functions, tenant, settings string) opened {
	t.Helper()
	i, err := f.Open(t.Context(), sdk.Integration{Tenant: tenant, Name: "crm", ID: tenant + "1", Revision: 1, Settings: sdk.NewSettings([]byte(settings))})
	require.NoError(t, err)
	in, ok := i.(*instance)
	require.True(t, ok)
	return opened{t, in, &fakeHost{cache: map[string][]byte{}}}
}

// call calls a function, and returns what it answers.
func (o opened) call(ctx context.Context, name, payload string) (map[string]any, error) {
	o.t.Helper()
	res, err := o.i.Invoke(sdk.WithHost(ctx, o.host), sdk.HookCall{Name: name, Payload: []byte(payload)})
	if err != nil {
		return nil, err
	}
	var out map[string]any
	require.NoError(o.t, json.Unmarshal(res.Payload, &out))
	return out, nil
}

// lookup is a call of getDataIframe that answers.
func (o opened) lookup(payload string) map[string]any {
	o.t.Helper()
	out, err := o.call(o.t.Context(), "getDataIframe", payload)
	require.NoError(o.t, err)
	return out
}

// fault is a call of getDataIframe that fails.
func (o opened) fault(ctx context.Context) *sdk.Error {
	o.t.Helper()
	_, err := o.call(ctx, "getDataIframe", `{}`)
	require.Error(o.t, err)
	e := sdk.AsError(err)
	return e
}

// fakeHost answers what calls ask.
type fakeHost struct {
	sdk.Host

	mu       sync.Mutex // guards what follows
	cache    map[string][]byte
	endpoint func(name string, body []byte) (sdk.EndpointResult, error)
	ttl      time.Duration
	lines    []string
	logged   chan struct{} // told of a line, if there is one
	gate     chan struct{} // if there is one, the key "slow" waits for it
}

func (h *fakeHost) CacheGet(ctx context.Context, scope sdk.CacheScope, key string) ([]byte, bool, error) {
	if key == "slow" {
		select {
		case <-h.gate:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.cache[string(scope)+"/"+key]
	return v, ok, nil
}

func (h *fakeHost) CachePut(_ context.Context, scope sdk.CacheScope, key string, value []byte, ttl time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cache[string(scope)+"/"+key], h.ttl = value, ttl
	return nil
}

func (h *fakeHost) Log(level sdk.LogLevel, message string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprint(level, " ", message, " ", args))
	select {
	case h.logged <- struct{}{}:
	default:
	}
}
