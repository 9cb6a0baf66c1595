package runner

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/semaphore"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// database is what working a lane needs of the store.
type database interface {
	IntegrationByID(ctx context.Context, id int64) (store.Integration, error)
	StartRun(ctx context.Context, s store.RunStart) (store.RunStarted, error)
	NextRun(ctx context.Context, l store.Lane) (store.Run, bool, error)
	LookRun(ctx context.Context, r store.Run) (way, due bool, err error)
	BeginRun(ctx context.Context, l store.LaneRef, run int64, b store.RunBegin) (store.Run, error)
	ClaimStreams(ctx context.Context, l store.LaneRef, run int64, limit int) ([]store.Stream, error)
	DrawQuota(ctx context.Context, l store.LaneRef, run int64) (store.Quota, error)
	LimitRun(ctx context.Context, l store.LaneRef, run int64) (store.Run, error)
	Apply(ctx context.Context, s store.Segment) (store.Applied, error)
	AttributesDone(ctx context.Context, tenant int64, plugin, version string) (bool, error)
	SaveAttributes(ctx context.Context, tenant int64, plugin, version string, attrs []store.Attribute) error
	Credential(ctx context.Context, integration int64, name string) (store.Credential, error)
	CommitCredential(ctx context.Context, integration int64, name string, version int64, sealed []byte, expires time.Time) (store.Credential, error)
	Shapes(ctx context.Context, integrationID int64) (store.Shapes, error)
	Services(ctx context.Context, tenant int64, plugin string) (map[string][]byte, error)
	CacheGet(ctx context.Context, scope, key string) ([]byte, bool, error)
	CachePut(ctx context.Context, e store.CacheEntry) error
	TakeTurns(ctx context.Context, scope, key string, every time.Duration, n int) (time.Time, error)
	Throttles(ctx context.Context, plugin string, keys []string) (map[string]time.Time, error)
}

// Plugin is a plugin opened for an integration, for one call.
type Plugin struct {
	Instance sdk.Instance
	Manifest sdk.Manifest
	// Draining, if not nil, is closed when the process is about to be replaced: a
	// stream goes on elsewhere from its next checkpoint.
	Draining <-chan struct{}
	// Ending, if not nil, says how the process ended, with its last words. It may
	// wait a moment for that; nil means that it runs.
	Ending func() error
	// Report, if not nil, is told how a call ended: failed is what the plugin itself did
	// wrong.
	Report func(failed bool)
	// Release gives it back. With reopen set the instance is opened anew by the
	// next call.
	Release func(reopen bool)
}

// Plugins are the processes that can be called.
type Plugins interface {
	Manifest(name string) (sdk.Manifest, bool)
	Acquire(ctx context.Context, name string, in sdk.Integration) (Plugin, error)
	// AcquireAlone is Acquire in a process that is started for this call alone and
	// ends with its Release. Whoever asks bounds how many there are.
	AcquireAlone(ctx context.Context, name string, in sdk.Integration) (Plugin, error)
	// Lost reports whether err says that the process died or never answered, and
	// Reopen whether it says that the process does not know the instance. Neither
	// is a failure that the plugin reported.
	Lost(err error) bool
	Reopen(err error) bool
	// Away reports whether err says that no process can take the call now, so
	// that none was made.
	Away(err error) bool
}

// Vault holds what only the host reads in clear.
type Vault interface {
	// Settings returns an integration's settings in clear: the user's, and
	// beneath them what the plugin keeps.
	Settings(in store.Integration) ([]byte, error)
	// MergePatch returns the integration's sealed patch with the changes in it.
	MergePatch(in store.Integration, changes map[string][]byte) ([]byte, error)
	Seal(plain []byte, aad ...string) ([]byte, error)
	Open(sealed []byte, aad ...string) ([]byte, error)
}

// Options of a Runner. The zero value means the documented defaults.
type Options struct {
	Quantum     time.Duration  // of starting new streams while others wait; 15s if zero (K13)
	Segments    int            // likewise; 64 if zero
	CallTimeout time.Duration  // a call's life; 10 minutes if zero (K24)
	Silence     time.Duration  // between two signs of life; 60s if zero
	Unary       time.Duration  // calls that answer once; 60s if zero
	CancelGrace time.Duration  // for a cancelled call to return; 5s if zero
	Memory      int64          // bytes received and not applied yet; 48 MiB if zero
	Retries     int            // after the first try; 5 if zero (C27)
	RetryBase   time.Duration  // first delay, tripled each time; 10s if zero
	Jitter      func() float64 // of a delay, in [0, 1): by chance if nil
	Private     int            // processes at once that suspects have to themselves; 4 if zero (K11)
	MaxDeaths   int            // of them that end in the call of one stream, and it is given up; 2 if zero (K11)
	DeathDelay  time.Duration  // after the end of a process in a call, doubled by each in a row to 30s; 500ms if zero
	// DeleteGuard returns the share of a kind's records above which a full sync
	// deletes nothing (K07); 0.2 if nil.
	DeleteGuard func() float64
	Now         func() time.Time
	Log         hclog.Logger
	// Redact takes known secrets out of what is kept of a plugin's errors and
	// warnings; none if nil.
	Redact func(string) string
	// Trace makes spans of what is done; nobody does if nil.
	Trace Tracer
	// Endpoint calls an endpoint of a template for a plugin; none can be called if nil.
	Endpoint EndpointCall
	// Say takes what a plugin logs in a call, so that it stands with the rest that
	// the plugin writes; Log takes it if nil.
	Say func(plugin string, level hclog.Level, message string, fields map[string]string)
}

// Runner works lanes.
type Runner struct {
	db      database
	plugins Plugins
	vault   Vault
	opts    Options
	memory  *pool
	private *semaphore.Weighted // processes of suspects

	slotsHeld slots
	circuits  circuits

	mu        sync.Mutex // guards what follows
	buckets   map[bucketKey]*bucket
	turns     map[int64]int // of the rotation of keys, by integration
	calls     map[room]*places
	refreshes map[refreshKey]*refresh
	patches   map[int64]int64 // how often an integration's patch changed
}

// New returns a Runner. It starts nothing.
func New(db database, plugins Plugins, vault Vault, opts Options) *Runner {
	opts.Quantum = cmp.Or(opts.Quantum, 15*time.Second)
	opts.Segments = cmp.Or(opts.Segments, 64)
	opts.CallTimeout = cmp.Or(opts.CallTimeout, 10*time.Minute)
	opts.Silence = cmp.Or(opts.Silence, time.Minute)
	opts.Unary = cmp.Or(opts.Unary, time.Minute)
	opts.CancelGrace = cmp.Or(opts.CancelGrace, 5*time.Second)
	opts.Memory = cmp.Or(opts.Memory, 48<<20)
	opts.Retries = cmp.Or(opts.Retries, 5)
	opts.RetryBase = cmp.Or(opts.RetryBase, 10*time.Second)
	opts.Private = cmp.Or(opts.Private, 4)
	opts.MaxDeaths = cmp.Or(opts.MaxDeaths, 2)
	opts.DeathDelay = cmp.Or(opts.DeathDelay, 500*time.Millisecond)
	if opts.Jitter == nil {
		opts.Jitter = rand.Float64
	}
	if opts.Redact == nil {
		opts.Redact = func(s string) string { return s }
	}
	if opts.DeleteGuard == nil {
		opts.DeleteGuard = func() float64 { return store.DefaultDeleteGuard }
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	r := &Runner{
		db: db, plugins: plugins, vault: vault, opts: opts,
		memory:    newPool(opts.Memory),
		circuits:  circuits{jitter: opts.Jitter, of: map[int64]map[string]*circuit{}},
		slotsHeld: slots{names: map[bucketKey]*slot{}},
		buckets:   map[bucketKey]*bucket{},
		turns:     map[int64]int{},
		private:   semaphore.NewWeighted(int64(opts.Private)),
		calls:     map[room]*places{},
		refreshes: map[refreshKey]*refresh{},
		patches:   map[int64]int64{},
	}
	if opts.Say == nil {
		r.opts.Say = r.say
	}
	return r
}

// retryAt returns when the attempt after n failures is due: growing, with a
// jitter of a fifth so that streams that failed together do not return together.
func (r *Runner) retryAt(failures int) time.Time {
	const longest = 15 * time.Minute
	delay := r.opts.RetryBase
	for range failures - 1 {
		delay = min(3*delay, longest)
	}
	jitter := 0.8 + 0.4*r.opts.Jitter()
	return r.opts.Now().Add(time.Duration(float64(delay) * jitter))
}

// patchBits is how much of a revision counts what the plugin changed itself.
const patchBits = 24

// RevisionOf returns the revision of an integration that an instance was opened with.
func RevisionOf(opened sdk.Integration) int64 { return opened.Revision >> patchBits }

// integration returns what the plugin is told of in. Settings that the plugin
// changed itself count as a revision of their own, so that it is opened anew.
func (r *Runner) integration(in store.Integration) (sdk.Integration, error) {
	settings, err := r.vault.Settings(in)
	if err != nil {
		return sdk.Integration{}, err
	}
	r.mu.Lock()
	patches := r.patches[in.ID]
	r.mu.Unlock()
	return sdk.Integration{
		Tenant: in.Tenant, Name: in.Name, ID: in.UID,
		Revision:   in.Revision<<patchBits + patches,
		Connectors: in.Connectors,
		Settings:   sdk.NewSettings(settings),
	}, nil
}
