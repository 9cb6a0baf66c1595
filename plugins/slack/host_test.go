package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when the first run of a test starts.
func start() time.Time { return time.Unix(1_700_000_000, 0).UTC() }

// testHost drives an instance as the host does: it applies segments, keeps
// cursors and watermarks, and calls again after errors.
type testHost struct {
	inst       sdk.Instance
	cache      *testCache
	cursors    map[string][]byte
	watermarks map[string]time.Time
	want       int  // records of a page
	stopAtOnce bool // errors are not retried: the run ends with the first

	members    map[string]sdk.Member
	activities map[string]sdk.Activity
	applied    map[string]int // how often an activity was applied, over all runs
	opaque     [][]byte       // stream data, pages, checkpoints, cursors
	streams    map[string]sdk.Stream
	warnings   []string
	waits      []time.Duration
	failures   []error
	outcomes   []sdk.Outcome
}

func settingsFor(f *fakeSlack, more object) sdk.Settings {
	all := object{"token": canary, "api_url": f.url()}
	maps.Copy(all, more)
	raw, err := json.Marshal(all)
	if err != nil {
		return sdk.NewSettings(nil)
	}
	return sdk.NewSettings(raw)
}

func newTestHost(t *testing.T, f *fakeSlack, more object) *testHost {
	t.Helper()
	p := New()
	p.timeout = 5 * time.Second
	return newTestHostOf(t, p, settingsFor(f, more))
}

func newTestHostOf(t *testing.T, p *Slack, s sdk.Settings) *testHost {
	t.Helper()
	inst, err := p.Open(t.Context(), sdk.Integration{Tenant: "acme", Name: "slack", ID: "1", Settings: s})
	require.NoError(t, err)
	t.Cleanup(func() { _ = inst.(sdk.Closer).Close() })
	return &testHost{
		inst: inst, cache: &testCache{Host: sdk.HostFrom(t.Context()), values: map[string][]byte{}},
		cursors: map[string][]byte{}, watermarks: map[string]time.Time{},
		members: map[string]sdk.Member{}, activities: map[string]sdk.Activity{}, applied: map[string]int{},
	}
}

func onboarding(at time.Time) sdk.Run {
	return sdk.Run{ID: "r1", Kind: sdk.RunOnboarding, Onboarding: true, Connectors: []string{connectorMembers, connectorChannels}, StartedAt: at}
}

func check(at time.Time) sdk.Run {
	return sdk.Run{ID: "r2", Kind: sdk.RunCheck, Connectors: []string{connectorMembers, connectorChannels}, StartedAt: at}
}

// sync does a whole run and returns the error that ended it.
func (h *testHost) sync(ctx context.Context, run sdk.Run) error {
	ctx = sdk.WithHost(ctx, h.cache)
	run.Watermarks = h.watermarks
	h.streams = map[string]sdk.Stream{}
	var queue []sdk.Stream
	err := h.attempts(func() error {
		data, err := h.inst.(sdk.Preprocessor).Preprocess(ctx, run)
		run.Preprocessed = data
		return err
	})
	if err != nil {
		return err
	}
	plan := &segment{host: h, queue: &queue}
	err = h.attempts(func() error {
		err := plan.call(ctx, func(out *sdk.Emitter) (sdk.Outcome, error) {
			return sdk.Outcome{}, h.inst.GetStreams(ctx, sdk.PlanCall{Run: run, Checkpoint: plan.checkpoint}, out)
		})
		return err
	})
	if err != nil {
		return err
	}
	failed := false
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if err := h.process(ctx, run, s, &queue); err != nil {
			failed = true
			if h.stopAtOnce || sdk.AsError(err).AbortRun {
				return err
			}
		}
	}
	if !failed && run.Kind != sdk.RunManual {
		for _, c := range run.Connectors {
			h.watermarks[c] = run.StartedAt
		}
	}
	return nil
}

// process takes a stream through all its pages.
func (h *testHost) process(ctx context.Context, run sdk.Run, s sdk.Stream, queue *[]sdk.Stream) error {
	seg := &segment{host: h, queue: queue, partition: s.Partition}
	seen := map[string]bool{}
	for {
		err := h.attempts(func() error {
			return seg.call(ctx, func(out *sdk.Emitter) (sdk.Outcome, error) {
				call := sdk.StreamCall{Run: run, Stream: s, Page: seg.page, Checkpoint: seg.checkpoint, PageSize: h.want}
				if s.Partition != "" {
					call.Cursor = h.cursors[s.Partition]
				}
				return h.inst.ProcessStream(ctx, call, out)
			})
		})
		if err != nil {
			return fmt.Errorf("stream %s: %w", s.ID, err)
		}
		if seg.page == nil {
			return nil
		}
		if seen[string(seg.page)] {
			return fmt.Errorf("stream %s: page loop", s.ID)
		}
		seen[string(seg.page)] = true
	}
}

// attempts calls do until it works, five failures have passed or the error is
// one that no retry helps against.
func (h *testHost) attempts(do func() error) error {
	failures := 0
	for {
		err := do()
		if err == nil {
			return nil
		}
		e := sdk.AsError(err)
		h.failures = append(h.failures, err)
		if e.Class == sdk.ClassRateLimited {
			h.waits = append(h.waits, e.Limit.After)
			if len(h.waits) > 1000 {
				return err
			}
		} else {
			failures++
		}
		if e.Permanent() || e.AbortRun || h.stopAtOnce || failures > 5 {
			return err
		}
	}
}

// segment is a sink that applies what it got at each checkpoint and at the end
// of a call, and forgets what an error leaves behind.
type segment struct {
	host       *testHost
	queue      *[]sdk.Stream
	partition  string
	page       []byte
	checkpoint []byte
	pending    []sdk.Batch
}

func (s *segment) Send(ctx context.Context, b sdk.Batch) error {
	s.pending = append(s.pending, b)
	return ctx.Err()
}

func (s *segment) Checkpoint(ctx context.Context, c sdk.Checkpoint) error {
	s.apply(c.Cursor)
	s.checkpoint = c.Data
	s.host.opaque = append(s.host.opaque, c.Data)
	return ctx.Err()
}

func (s *segment) call(ctx context.Context, do func(*sdk.Emitter) (sdk.Outcome, error)) error {
	s.pending = nil
	out := sdk.NewEmitter(s)
	o, err := do(out)
	if err == nil {
		err = out.Flush(ctx)
	}
	if err != nil {
		return err
	}
	s.apply(o.Cursor)
	s.page, s.checkpoint = o.NextPage, nil
	s.host.outcomes = append(s.host.outcomes, o)
	s.host.opaque = append(s.host.opaque, o.NextPage)
	return nil
}

func (s *segment) apply(cursor []byte) {
	h := s.host
	for _, b := range s.pending {
		for _, m := range b.Members {
			h.members[m.ID] = m
		}
		for _, a := range b.Activities {
			if a.Member != nil {
				h.members[a.Member.ID] = *a.Member
			}
			h.activities[a.ID] = a
			h.applied[a.ID]++
		}
		for _, st := range b.Streams {
			if _, ok := h.streams[st.ID]; !ok {
				h.streams[st.ID] = st
				h.opaque = append(h.opaque, st.Data)
				*s.queue = append(*s.queue, st)
			}
		}
		for _, w := range b.Warnings {
			h.warnings = append(h.warnings, w.Message)
		}
	}
	s.pending = nil
	if cursor != nil {
		h.cursors[s.partition] = cursor
		h.opaque = append(h.opaque, cursor)
	}
}

// testCache is the host's cache; it counts signs of life.
type testCache struct {
	sdk.Host

	mu       sync.Mutex
	values   map[string][]byte
	progress int
	broken   bool
}

func (c *testCache) CacheGet(_ context.Context, scope sdk.CacheScope, key string) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken || scope != sdk.CacheIntegration {
		return nil, false, errors.New("cache is away")
	}
	v, ok := c.values[key]
	return v, ok, nil
}

func (c *testCache) CachePut(_ context.Context, scope sdk.CacheScope, key string, value []byte, _ time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken || scope != sdk.CacheIntegration {
		return errors.New("cache is away")
	}
	c.values[key] = value
	return nil
}

func (c *testCache) Progress(context.Context, string, time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress++
	return nil
}
