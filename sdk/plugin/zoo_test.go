package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// asPlugin makes the test's binary the plugin noisy.
const asPlugin = "JACKFIELD_TEST_PLUGIN"

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		plugin.Serve(noisy())
		return
	}
	goleak.VerifyTestMain(m)
}

// zoo is a plugin whose calls do what a test says.
type zoo struct {
	manifest sdk.Manifest
	open     func(sdk.Integration) error
	plan     func(context.Context, sdk.PlanCall, *sdk.Emitter) error
	process  func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error)
	check    func(context.Context) error
	pre      func(context.Context, sdk.Run) ([]byte, error)
	allowed  func(context.Context, sdk.AllowedCall) (sdk.Verdict, error)
	finished func(context.Context, sdk.FinishedCall) (bool, error)
	post     func(context.Context, sdk.Run) (map[string][]byte, error)
	invoke   func(context.Context, sdk.HookCall) (sdk.HookResult, error)
	closed   chan struct{}
}

func (z *zoo) Manifest() sdk.Manifest {
	if z.manifest.Name != "" {
		return z.manifest
	}
	return sdk.Manifest{
		Name: "zoo", Label: "Zoo", Version: "1.0.0", Kind: sdk.KindCombined,
		Connectors:   []sdk.Connector{{Name: "animals", Order: 1, Force: true, CompleteListing: true, Versions: true, Kinds: []string{"animal"}}},
		Capabilities: []sdk.Capability{sdk.CanCheck, sdk.CanPreprocess, sdk.CanCreateAttributes, sdk.CanAllow, sdk.CanFinish, sdk.CanPostprocess, sdk.CanInvoke},
		Hooks:        []string{"call.started"}, Limits: sdk.Limits{Concurrency: 8, PerRun: 2}, Every: 20,
		State: sdk.StateVersions{Writes: 2, Reads: []int{1, 2}, MayWrite: []int{1}},
	}
}

func (z *zoo) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	if z.open != nil {
		if err := z.open(in); err != nil {
			return nil, err
		}
	}
	return z, nil
}

func (z *zoo) GetStreams(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
	return z.plan(ctx, call, out)
}

func (z *zoo) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	return z.process(ctx, call, out)
}
func (z *zoo) Check(ctx context.Context) error { return z.check(ctx) }

func (z *zoo) Preprocess(ctx context.Context, run sdk.Run) ([]byte, error) { return z.pre(ctx, run) }

func (z *zoo) CreateAttributes(context.Context) ([]sdk.Attribute, error) {
	return []sdk.Attribute{{Name: "legs", Label: "Legs", Type: "number"}}, nil
}

func (z *zoo) Allowed(ctx context.Context, call sdk.AllowedCall) (sdk.Verdict, error) {
	return z.allowed(ctx, call)
}

func (z *zoo) IsProcessingFinished(ctx context.Context, call sdk.FinishedCall) (bool, error) {
	return z.finished(ctx, call)
}

func (z *zoo) Postprocess(ctx context.Context, run sdk.Run) (map[string][]byte, error) {
	return z.post(ctx, run)
}

func (z *zoo) Invoke(ctx context.Context, call sdk.HookCall) (sdk.HookResult, error) {
	return z.invoke(ctx, call)
}

func (z *zoo) Close() error {
	if z.closed != nil {
		close(z.closed)
	}
	return nil
}

// connect serves z over the wire.
func connect(t *testing.T, z sdk.Plugin) *plugin.Client {
	t.Helper()
	client, stop, err := plugin.OverWire(t.Context(), z)
	require.NoError(t, err)
	t.Cleanup(stop)
	return client
}

// opened is connect with an open instance.
func opened(t *testing.T, z sdk.Plugin) sdk.Instance {
	t.Helper()
	i, err := connect(t, z).Open(t.Context(), sdk.Integration{Tenant: "acme", Name: "zoo", ID: "1", Settings: sdk.NewSettings([]byte(`{}`))})
	require.NoError(t, err)
	return i
}

// sink keeps what is emitted, in order.
type sink struct {
	batches     []sdk.Batch
	checkpoints []sdk.Checkpoint
	order       []string
	fail        error
}

func (s *sink) Send(_ context.Context, b sdk.Batch) error {
	s.batches = append(s.batches, b)
	s.order = append(s.order, fmt.Sprintf("batch %d", b.Len()))
	return s.fail
}

func (s *sink) Checkpoint(_ context.Context, c sdk.Checkpoint) error {
	s.checkpoints = append(s.checkpoints, c)
	s.order = append(s.order, "checkpoint "+string(c.Data))
	return s.fail
}

// host is an sdk.Host that remembers.
type host struct {
	mu    sync.Mutex // guards what follows
	creds map[string]sdk.Credential
	cache map[string][]byte
	lines []string
	busy  int
	most  int
	block chan struct{} // Progress waits for it, if any
	ended chan error    // how such a wait ended, if not by block
}

func newHost() *host { return &host{creds: map[string]sdk.Credential{}, cache: map[string][]byte{}} }

func (h *host) Credential(_ context.Context, name string, atLeast int64) (sdk.Credential, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.creds[name]
	if !ok || c.Version < atLeast {
		return sdk.Credential{}, sdk.ErrNoCredential
	}
	return c, nil
}

func (h *host) BeginRefresh(_ context.Context, name string, version int64) (sdk.Credential, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.creds[name], h.creds[name].Version == version, nil
}

func (h *host) CommitCredential(_ context.Context, name string, version int64, token sdk.Secret, expires time.Time) (sdk.Credential, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.creds[name].Version != version {
		return sdk.Credential{}, &sdk.Error{Class: sdk.ClassSystem, Code: "stale", Message: "another version"}
	}
	h.creds[name] = sdk.Credential{Version: version + 1, Token: token, Expires: expires}
	return h.creds[name], nil
}

func (h *host) Limit(_ context.Context, b sdk.Bucket) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprintf("limit %s %s %d %v", b.Scope, b.Key, b.Max, b.Window))
	e := sdk.RateLimitedFor(time.Minute)
	e.Limit.Key = "bucket:" + b.Key
	return e
}

func (h *host) Slot(_ context.Context, scope sdk.CacheScope, key string, limit int) (func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy >= limit {
		return nil, sdk.RateLimitedFor(time.Second)
	}
	h.busy++
	h.lines = append(h.lines, fmt.Sprintf("slot %s %s %d", scope, key, limit))
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy--
	}, nil
}

func (h *host) Pick(_ context.Context, keys []string) (string, error) { return keys[len(keys)-1], nil }

func (h *host) held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.busy
}

func (h *host) CacheGet(_ context.Context, scope sdk.CacheScope, key string) ([]byte, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.cache[string(scope)+"/"+key]
	return v, ok, nil
}

func (h *host) CachePut(_ context.Context, scope sdk.CacheScope, key string, value []byte, _ time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cache[string(scope)+"/"+key] = value
	return nil
}

func (h *host) Progress(ctx context.Context, _ string, _ time.Time) error {
	h.mu.Lock()
	h.busy++
	h.most = max(h.most, h.busy)
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy--
	}()
	if h.block == nil {
		return nil
	}
	select {
	case <-h.block:
		return nil
	case <-ctx.Done():
		if h.ended != nil {
			h.ended <- ctx.Err()
		}
		return ctx.Err()
	}
}

func (h *host) Log(level sdk.LogLevel, message string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprint(append([]any{level, " ", message}, args...)...))
}

func errorWith(t *testing.T, err error, class sdk.Class, code string) *sdk.Error {
	t.Helper()
	e, ok := errors.AsType[*sdk.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, class, e.Class, "%v", err)
	require.Equal(t, code, e.Code, "%v", err)
	return e
}

func requireSystem(t *testing.T, err error, code string) {
	t.Helper()
	require.NotNil(t, errorWith(t, err, sdk.ClassSystem, code))
}
