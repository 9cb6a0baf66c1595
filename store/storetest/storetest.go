// Package storetest is the suite that every driver of a store passes. A driver is
// done when it does.
package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// Store is what the suite asks of a driver.
type Store interface {
	Wakes() <-chan struct{}

	ApplyChanges(ctx context.Context, changes []store.Change) error
	Integrations(ctx context.Context, f store.IntegrationFilter) ([]store.Integration, error)
	IntegrationByID(ctx context.Context, id int64) (store.Integration, error)
	IntegrationByUID(ctx context.Context, uid string) (store.Integration, error)
	IntegrationByName(ctx context.Context, tenant, name string) (store.Integration, error)
	Tenants(ctx context.Context) ([]store.Tenant, error)
	ApplyTemplates(ctx context.Context, want []store.Template, keep []string) (changed, deleted []string, err error)
	Templates(ctx context.Context, name string) ([]store.StoredTemplate, error)
	ParkIntegrations(ctx context.Context, loaded []string) (parked, resumed []string, err error)
	ParkUnfit(ctx context.Context, why map[int64]string) (parked []string, err error)
	ResumeFit(ctx context.Context, ids []int64) (resumed []string, err error)
	SetIntegrationState(ctx context.Context, id int64, state store.IntegrationState, reason string) error

	ClaimLanes(ctx context.Context, c store.LaneClaim) ([]store.Lane, error)
	RenewLanes(ctx context.Context, refs []store.LaneRef, lease time.Duration) (map[int64]int64, error)
	ReleaseLane(ctx context.Context, l store.Lane) error
	Nudge(ctx context.Context, integrationID int64, class string, at time.Time) error
	NextWake(ctx context.Context, plugins []string) (store.Due, error)

	RequestRun(ctx context.Context, req store.RunRequest) (store.Run, bool, error)
	NextRun(ctx context.Context, l store.Lane) (store.Run, bool, error)
	BeginRun(ctx context.Context, lane store.LaneRef, runID int64, b store.RunBegin) (store.Run, error)
	StartRun(ctx context.Context, s store.RunStart) (store.RunStarted, error)
	CancelRun(ctx context.Context, id int64, reason string) (store.Run, error)
	ContinueRun(ctx context.Context, id int64) (store.Run, error)
	Run(ctx context.Context, id int64) (store.Run, error)
	Runs(ctx context.Context, f store.RunFilter) ([]store.Run, error)

	ClaimStreams(ctx context.Context, lane store.LaneRef, runID int64, n int) ([]store.Stream, error)
	NextStreamDue(ctx context.Context, runID int64) (time.Time, bool, error)
	Streams(ctx context.Context, f store.StreamFilter) ([]store.Stream, error)
	Stream(ctx context.Context, id int64) (store.Stream, error)
	ConnectorStatuses(ctx context.Context, f store.ConnectorFilter) ([]store.ConnectorStatus, error)
	RetryStream(ctx context.Context, id int64) (store.Stream, error)
	ProcessStream(ctx context.Context, id int64, force bool) (store.Stream, error)
	FailedStreams(ctx context.Context, f store.FailedFilter) ([]int64, error)
	OpenStreams(ctx context.Context, plugin string, integrationID int64) (int64, error)
	SkipStream(ctx context.Context, id int64, reason string) (store.Stream, error)

	DrawQuota(ctx context.Context, lane store.LaneRef, runID int64) (store.Quota, error)
	LimitRun(ctx context.Context, lane store.LaneRef, runID int64) (store.Run, error)
	LimitUse(ctx context.Context, integrationID int64) (store.LimitUse, bool, error)

	Apply(ctx context.Context, seg store.Segment) (store.Applied, error)
	Feed(ctx context.Context, f store.RecordFilter) (store.FeedPage, error)
	Records(ctx context.Context, f store.RecordFilter) ([]store.StoredRecord, error)
	RecordCounts(ctx context.Context, integrationID int64) (map[string]int64, error)
	Position(ctx context.Context) (int64, error)
	Warnings(ctx context.Context, runID int64, n int) ([]store.Warning, error)
	SavePluginMoves(ctx context.Context, moves []store.PluginMove) error
	PluginArtifacts(ctx context.Context) ([]store.PluginArtifact, error)
	PluginServices(ctx context.Context) ([]store.PluginService, error)
	UnreadState(ctx context.Context, plugin string, reads []int) ([]store.UnreadState, error)
	KeepCursors(ctx context.Context, plugin, digest string) error
	KeptCursors(ctx context.Context, plugin string) (digest string, err error)
	RestoreCursors(ctx context.Context, plugin, why string) (restored []string, err error)
	DropKept(ctx context.Context, but []string) (more bool, err error)
	Events(ctx context.Context, after int64, n int) ([]store.Event, error)
	RecentEvents(ctx context.Context, f store.EventFilter) ([]store.Event, error)
	Status(ctx context.Context) (store.Status, error)
	DeleteIntegration(ctx context.Context, id int64) error
	DeleteTenant(ctx context.Context, name string) error
	Purge(ctx context.Context, r store.Retention) (more bool, err error)

	CreateToken(ctx context.Context, token store.Token, sum []byte, by string) (store.Token, error)
	Tokens(ctx context.Context, f store.TokenFilter) ([]store.Token, error)
	Token(ctx context.Context, id int64) (store.Token, error)
	TokenBySum(ctx context.Context, sum []byte) (store.Token, error)
	UseToken(ctx context.Context, id int64, at time.Time) error
	RevokeToken(ctx context.Context, id int64, by string) (store.Token, error)

	Circuits(ctx context.Context, integrationID int64) ([]store.Circuit, error)
	TakeTurns(ctx context.Context, scope, key string, every time.Duration, n int) (time.Time, error)
	Throttles(ctx context.Context, plugin string, keys []string) (map[string]time.Time, error)

	Credential(ctx context.Context, integrationID int64, name string) (store.Credential, error)
	CommitCredential(ctx context.Context, integrationID int64, name string, version int64, sealed []byte, expires time.Time) (store.Credential, error)
	Shapes(ctx context.Context, integrationID int64) (store.Shapes, error)
	Services(ctx context.Context, tenantID int64, plugin string) (map[string][]byte, error)
	CacheGet(ctx context.Context, scope, key string) ([]byte, bool, error)
	CachePut(ctx context.Context, e store.CacheEntry) error
	AttributesDone(ctx context.Context, tenantID int64, plugin, version string) (bool, error)
	SaveAttributes(ctx context.Context, tenantID int64, plugin, version string, attributes []store.Attribute) error
	Attributes(ctx context.Context, tenantID int64) (map[string][]store.Attribute, error)
}

// Options are what a driver is opened with for one test.
type Options struct {
	Now      func() time.Time
	OnRevoke func(laneIDs []int64)
}

// Run runs the suite. open gives a fresh, empty store that ends with the test.
func Run(t *testing.T, open func(t *testing.T, opts Options) Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func(*testing.T) *world){
		"Configuration": testConfiguration,
		"Templates":     testTemplates,
		"Lanes":         testLanes,
		"Fairness":      testFairness,
		"Runs":          testRuns,
		"Starts":        testStart,
		"Nexts":         testNext,
		"ClaimSaysNext": testClaimSaysNext,
		"GivesBack":     testGiveBack,
		"Cancel":        testCancel,
		"RunEnds":       testRunEnds,
		"Streams":       testStreams,
		"Connectors":    testConnectors,
		"Alerts":        testAlerts,
		"Redo":          testRedo,
		"Guards":        testGuards,
		"Records":       testRecords,
		"Feed":          testFeed,
		"Overlays":      testOverlays,
		"Services":      testServices,
		"Shapes":        testShapes,
		"Positions":     testPositions,
		"Limits":        testLimits,
		"Retention":     testRetention,
		"Quotas":        testQuotas,
		"Buckets":       testBuckets,
		"Sweep":         testSweep,
		"Circuits":      testCircuits,
		"Removal":       testRemoval,
		"Concurrency":   testConcurrency,
		"PluginState":   testPluginState,
		"PluginMoves":   testPluginMoves,
		"PluginReads":   testPluginReads,
		"KeptCursors":   testKeptCursors,
		"Gone":          testGone,
		"Tokens":        testTokens,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(t *testing.T) *world {
				t.Helper()
				t.Parallel()
				w := &world{T: t, clock: newClock()}
				w.s = open(t, Options{Now: w.clock.Now, OnRevoke: w.onRevoke})
				return w
			})
		})
	}
}

// plug is the plugin of the suite's integrations.
const plug = "git"

// lease is long enough for what a test does on a clock that stands still.
const lease = time.Minute

// world is a store with a clock, and what the tests do with it again and again.
type world struct {
	*testing.T
	s       Store
	clock   *clock
	revoked chan []int64
	n       int
}

func (w *world) onRevoke(ids []int64) {
	if w.revoked != nil {
		w.revoked <- ids
	}
}

// taken waits for lanes to be taken away, and returns which.
func (w *world) taken() []int64 {
	w.Helper()
	select {
	case ids := <-w.revoked:
		return ids
	case <-time.After(time.Minute):
		require.Fail(w, "no lane was taken away")
		return nil
	}
}

func (w *world) ctx() context.Context { return w.Context() }

// spec returns an integration as a file would declare it.
func (w *world) spec(name string) store.IntegrationSpec {
	return store.IntegrationSpec{
		Tenant: "acme", Name: name, Label: "Label", Plugin: plug, Connectors: []string{"commits", "members"}, Every: 20, Enabled: true,
		Settings: []byte("sealed:" + name), SettingsSum: []byte("sum"), File: "tenants/acme.yaml", Line: 3,
	}
}

// create declares an integration. It is due at once.
func (w *world) create(name string) store.Integration {
	w.Helper()
	w.n++
	return w.change(store.Change{Op: store.ChangeCreate, UID: fmt.Sprintf("%016x", w.n), Spec: w.spec(name), Sync: true})
}

// change applies one change and returns the integration after it.
func (w *world) change(c store.Change) store.Integration {
	w.Helper()
	require.NoError(w, w.s.ApplyChanges(w.ctx(), []store.Change{c}))
	i, err := w.s.IntegrationByUID(w.ctx(), c.UID)
	require.NoError(w, err)
	return i
}

// claimLanes claims all that is due.
func (w *world) claimLanes() []store.Lane {
	w.Helper()
	lanes, err := w.s.ClaimLanes(w.ctx(), store.LaneClaim{Plugins: []string{plug}, Limit: 100, Lease: lease})
	require.NoError(w, err)
	return lanes
}

// claimLane claims the one that is due.
func (w *world) claimLane() store.Lane {
	w.Helper()
	lanes := w.claimLanes()
	require.Len(w, lanes, 1)
	return lanes[0]
}

// job is a run that is worked on.
type job struct {
	w    *world
	i    store.Integration
	lane store.Lane
	run  store.Run
}

// request asks for a run.
func (w *world) request(req store.RunRequest) store.Run {
	w.Helper()
	if req.Kind == "" {
		req.Kind = store.RunCheck
	}
	r, created, err := w.s.RequestRun(w.ctx(), req)
	require.NoError(w, err)
	require.True(w, created)
	return r
}

// begin creates an integration and begins a run of it.
func (w *world) begin(req store.RunRequest, b store.RunBegin) *job {
	w.Helper()
	i := w.create(fmt.Sprintf("i%d", w.n))
	return w.beginOf(i, req, b)
}

// beginOf begins a run of the integration.
func (w *world) beginOf(i store.Integration, req store.RunRequest, b store.RunBegin) *job {
	w.Helper()
	req.IntegrationID = i.ID
	run := w.request(req)
	lane := w.claimLane()
	run, err := w.s.BeginRun(w.ctx(), lane.Ref(), run.ID, b)
	require.NoError(w, err)
	require.Equal(w, store.RunProcessing, run.State)
	return &job{w: w, i: i, lane: lane, run: run}
}

// plan begins a run and plans it with these streams.
func (w *world) plan(req store.RunRequest, streams ...store.NewStream) *job {
	w.Helper()
	j := w.begin(req, store.RunBegin{})
	j.plan(streams...)
	return j
}

// plan applies the plan of the run.
func (j *job) plan(streams ...store.NewStream) store.Applied {
	j.w.Helper()
	seg := j.segment(j.claim())
	seg.Streams = streams
	seg.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true}
	return j.apply(seg)
}

// names returns streams of the connector commits with these identifiers.
func names(idents ...string) []store.NewStream {
	var out []store.NewStream
	for _, id := range idents {
		out = append(out, store.NewStream{Ident: id, Connector: "commits", Partition: id, Data: []byte("data of " + id)})
	}
	return out
}

// claims claims up to n streams.
func (j *job) claims(n int) []store.Stream {
	j.w.Helper()
	streams, err := j.w.s.ClaimStreams(j.w.ctx(), j.lane.Ref(), j.run.ID, n)
	require.NoError(j.w, err)
	return streams
}

// claim claims the next stream.
func (j *job) claim() store.Stream {
	j.w.Helper()
	streams := j.claims(1)
	require.Len(j.w, streams, 1)
	require.Equal(j.w, store.StreamProcessing, streams[0].State)
	return streams[0]
}

// segment returns an empty segment for a claim.
func (j *job) segment(s store.Stream) store.Segment {
	return store.Segment{
		Lane: j.lane.Ref(), Generation: j.lane.Generation, RunID: j.run.ID, StreamID: s.ID, Claim: s.Claim, Seq: s.Seq,
	}
}

// apply applies a segment.
func (j *job) apply(seg store.Segment) store.Applied {
	j.w.Helper()
	a, err := j.w.s.Apply(j.w.ctx(), seg)
	require.NoError(j.w, err)
	require.Equal(j.w, seg.Seq+1, a.Seq)
	return a
}

// finish ends the claim of a stream.
func (j *job) finish(s store.Stream, end store.StreamEnd, records ...store.Record) store.Applied {
	j.w.Helper()
	seg := j.segment(s)
	seg.Records = records
	seg.End = &end
	return j.apply(seg)
}

// done is the end of a stream that went well.
func done() store.StreamEnd { return store.StreamEnd{State: store.StreamProcessed, Answered: true} }

// failed is the last failure of a stream.
func failed(message string) store.StreamEnd {
	return store.StreamEnd{
		State: store.StreamError, Answered: true, Attempt: true,
		Failure: &store.Failure{Point: "process_stream", Class: "remote", Code: "http_500", Message: message, Cause: "stack", Attempt: 6, Plugin: "1.0.0"},
	}
}

// reload returns the run as it is now.
func (j *job) reload() store.Run {
	j.w.Helper()
	r, err := j.w.s.Run(j.w.ctx(), j.run.ID)
	require.NoError(j.w, err)
	return r
}

// stream returns a stream as it is now.
func (w *world) stream(id int64) store.Stream {
	w.Helper()
	s, err := w.s.Stream(w.ctx(), id)
	require.NoError(w, err)
	return s
}

// release gives the job's lane back.
func (j *job) release() {
	j.w.Helper()
	require.NoError(j.w, j.w.s.ReleaseLane(j.w.ctx(), j.lane))
}

// nextWake returns how long it is until a lane can be claimed, -1 for never.
func (w *world) nextWake() time.Duration {
	w.Helper()
	due, err := w.s.NextWake(w.ctx(), []string{plug})
	require.NoError(w, err)
	require.Equal(w, !due.At.IsZero() && !due.At.After(w.clock.Now()), len(due.Prios) > 0)
	if due.At.IsZero() {
		return -1
	}
	return due.At.Sub(w.clock.Now())
}

// record returns a record of the kind activity.
func record(id, data string) store.Record {
	return store.Record{Kind: "activity", ExternalID: id, Data: []byte(fmt.Sprintf(`{"text":%q}`, data))}
}

// records returns what is stored, the deleted ones too.
func (w *world) records(i store.Integration) []store.StoredRecord {
	w.Helper()
	out, err := w.s.Records(w.ctx(), store.RecordFilter{IntegrationID: i.ID, Deleted: true, Limit: 100_000})
	require.NoError(w, err)
	return out
}

// events returns the kinds of the events of a run.
func (w *world) events(run int64) []string {
	w.Helper()
	all, err := w.s.Events(w.ctx(), 0, 1000)
	require.NoError(w, err)
	var kinds []string
	for _, e := range all {
		if e.RunID == run {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}
