package telemetry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/jackfield/jackfield/store"
)

// receiver is a collector that takes spans over HTTP and keeps them.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex // guards what follows
	raw   strings.Builder
	spans map[string]*tracepb.Span // by name and service
	count int
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	c := &receiver{spans: map[string]*tracepb.Span{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/traces" {
			http.NotFound(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		var req collectorpb.ExportTraceServiceRequest
		if err = errors.Join(err, proto.Unmarshal(body, &req)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		for _, rs := range req.GetResourceSpans() {
			service := ""
			for _, a := range rs.GetResource().GetAttributes() {
				if a.GetKey() == "service.name" {
					service = a.GetValue().GetStringValue()
				}
			}
			for _, ss := range rs.GetScopeSpans() {
				for _, s := range ss.GetSpans() {
					c.spans[service+": "+s.GetName()] = s
					c.count++
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// results count what became of spans.
type results struct {
	mu sync.Mutex // guards n
	n  map[string]int
}

func (r *results) add(result string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = map[string]int{}
	}
	r.n[result] += n
}

func (r *results) of(result string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n[result]
}

// tracing runs traces until the function that it returns is called.
func tracing(t *testing.T, opts TraceOptions) (*Traces, func()) {
	t.Helper()
	traces, err := NewTraces(t.Context(), opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- traces.Run(ctx) }()
	return traces, sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

func someRun(id int64) store.Run {
	return store.Run{
		ID: id, IntegrationID: 3, Tenant: "acme", Integration: "chat", Plugin: "slack", Kind: store.RunCheck,
		CreatedAt: time.UnixMilli(1_700_000_000_000), StartedAt: time.UnixMilli(1_700_000_001_000),
	}
}

// A run is one trace: below it the claim of a stream, below that the call and what was
// applied, below the call the plugin's side, also of a daemon that was started anew.
func TestRunIsOneTrace(t *testing.T) {
	t.Parallel()
	c, counted := newReceiver(t), &results{}
	traces, stop := tracing(t, TraceOptions{Endpoint: c.URL, Version: "1.2.3", Count: counted.add})
	ctx, end := traces.Claim(t.Context(), someRun(7), store.Stream{ID: 70, Type: store.StreamRoot, Connector: "messages", Claim: 2, Data: []byte("channel of the boss")})
	call := traces.Call(ctx, "slack", "ProcessStream")
	require.NotNil(t, call)
	require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, call.Parent())
	began := time.Now()
	ended := began.Add(time.Second)
	call.End(ctx, began, ended, 14, PluginSpan{ID: "00f067aa0ba902b7", Began: began.Add(-time.Hour), Ended: ended.Add(time.Hour)})
	traces.Segment(ctx, began, 12, nil)
	end(store.StreamError, 1, &store.Failure{Class: "remote", Code: "no_such_channel", Message: "nobody knows xoxb-secret"})
	stop()

	traces, stop = tracing(t, TraceOptions{Endpoint: c.URL, Count: counted.add}) // another daemon, on the same store
	traces.Ended(t.Context(), someRun(7), store.RunError)
	stop()

	c.mu.Lock()
	defer c.mu.Unlock()
	require.Len(t, c.spans, 5)
	run, claim, client, server, applied := c.spans["jackfield: run check"], c.spans["jackfield: stream root"],
		c.spans["jackfield: ProcessStream"], c.spans["slack: ProcessStream"], c.spans["jackfield: apply"]
	for name, s := range c.spans {
		require.Equal(t, run.GetTraceId(), s.GetTraceId(), name)
	}
	require.Empty(t, run.GetParentSpanId())
	require.Equal(t, run.GetSpanId(), claim.GetParentSpanId())
	require.Equal(t, claim.GetSpanId(), client.GetParentSpanId())
	require.Equal(t, claim.GetSpanId(), applied.GetParentSpanId())
	require.Equal(t, client.GetSpanId(), server.GetParentSpanId())
	require.Equal(t, "00f067aa0ba902b7", hex.EncodeToString(server.GetSpanId()))
	require.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, client.GetKind())
	require.Equal(t, tracepb.Span_SPAN_KIND_SERVER, server.GetKind())
	require.EqualValues(t, began.UnixNano(), server.GetStartTimeUnixNano(), "a plugin's side is within the call")
	require.EqualValues(t, ended.UnixNano(), server.GetEndTimeUnixNano())
	require.EqualValues(t, 1_700_000_001_000_000_000, run.GetStartTimeUnixNano())
	for _, s := range []*tracepb.Span{run, claim, client} {
		require.Equal(t, tracepb.Status_STATUS_CODE_ERROR, s.GetStatus().GetCode(), s.GetName())
	}
	require.Contains(t, c.raw.String(), "no_such_channel")
	require.NotContains(t, c.raw.String(), "xoxb", "the words of a failure are not ours")
	require.NotContains(t, c.raw.String(), "boss")
	require.Equal(t, 5, counted.of(spansSent))
}

// What a plugin calls its errors and itself makes no attribute of any kind.
func TestNoWordsOfAPluginAreTraced(t *testing.T) {
	t.Parallel()
	c := newReceiver(t)
	traces, stop := tracing(t, TraceOptions{Endpoint: c.URL, Redact: func(s string) string { return strings.ReplaceAll(s, "xoxb-secret", "***") }})
	for _, code := range []string{"xoxb-secret", "the mail of jane@example.com", strings.Repeat("x", 65), "Ünicode"} {
		_, end := traces.Claim(t.Context(), someRun(1), store.Stream{Type: store.StreamRoot})
		end(store.StreamError, 0, &store.Failure{Class: "remote", Code: code})
	}
	call := traces.Call(t.Context(), "slack", "Invoke")
	call.End(t.Context(), time.Now(), time.Now(), 99, PluginSpan{ID: "not hex at all.."})
	stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(t, 5, c.count, "the plugin's side cannot be read")
	for _, word := range []string{"xoxb", "***", "jane", "xxxx", "nicode"} {
		require.NotContains(t, c.raw.String(), word)
	}
}

// Of some runs all is traced, of the others nothing.
func TestShareOfRunsIsTracedWhole(t *testing.T) {
	t.Parallel()
	c := newReceiver(t)
	traces, stop := tracing(t, TraceOptions{Endpoint: c.URL, Share: 0.25})
	const runs = 1000
	traced := 0
	for id := range int64(runs) {
		run := someRun(id)
		ctx, end := traces.Claim(t.Context(), run, store.Stream{Type: store.StreamRoot})
		sampled := trace.SpanContextFromContext(ctx).IsSampled()
		require.Equal(t, sampled, traces.Call(ctx, "slack", "ProcessStream") != nil)
		again, endAgain := traces.Claim(t.Context(), run, store.Stream{Type: store.StreamChild})
		require.Equal(t, sampled, trace.SpanContextFromContext(again).IsSampled())
		traces.Segment(ctx, time.Now(), 1, nil)
		traces.Ended(ctx, run, store.RunProcessed)
		end(store.StreamProcessed, 1, nil)
		endAgain(store.StreamProcessed, 1, nil)
		if sampled {
			traced++
		}
	}
	stop()
	require.InDelta(t, runs/4, traced, 100)
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(t, 4*traced, c.count, "two claims, what was applied, and the run")
}

// A collector that does not answer holds up nobody: what is too much is counted and
// dropped, and the daemon stops in its time.
func TestCollectorThatHangsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hangs:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(hangs)
	counted := &results{}
	traces, stop := tracing(t, TraceOptions{Endpoint: server.URL, Count: counted.add})
	const spans = maxSpans + spansAtOnce + 1000
	for range spans {
		traces.Segment(trace.ContextWithSpanContext(t.Context(), traces.root(someRun(1))), time.Now(), 1, nil)
	}
	require.GreaterOrEqual(t, counted.of(spansDropped), spans-maxSpans-2*spansAtOnce)
	began := time.Now()
	stop()
	require.Less(t, time.Since(began), 20*time.Second, "not the minutes that all of them would take")
	require.Equal(t, spans, counted.of(spansDropped)+counted.of(spansFailed), "each is accounted for")
}

// Metrics tell what became of spans.
func TestSpansAreCounted(t *testing.T) {
	t.Parallel()
	m := newMetrics(nil, store.Gauges{}, nil)
	m.Spans(spansSent, 3)
	m.Spans(spansDropped, 2)
	_, text := scrape(t, m)
	for result, n := range map[string]int{spansSent: 3, spansDropped: 2} {
		require.Contains(t, text, fmt.Sprintf("jackfield_trace_spans_total{result=%q} %d", result, n))
	}
}

// A check is a trace of its own, or nothing of it is traced.
func TestCheckIsATraceOfItsOwn(t *testing.T) {
	t.Parallel()
	c := newReceiver(t)
	in := store.Integration{IntegrationSpec: store.IntegrationSpec{Tenant: "acme", Name: "chat", Plugin: "slack"}}
	traces, stop := tracing(t, TraceOptions{Endpoint: c.URL})
	ctx, end := traces.Check(t.Context(), in)
	traces.Call(ctx, "slack", "Check").End(ctx, time.Now(), time.Now(), 0, PluginSpan{})
	end(errors.New("the token is xoxb-secret"))
	stop()
	traces, stop = tracing(t, TraceOptions{Endpoint: c.URL, Share: 1e-12})
	ctx, end = traces.Check(t.Context(), in)
	require.Nil(t, traces.Call(ctx, "slack", "Check"))
	end(nil)
	stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(t, 2, c.count)
	check, call := c.spans["jackfield: check"], c.spans["jackfield: Check"]
	require.Empty(t, check.GetParentSpanId())
	require.Equal(t, check.GetSpanId(), call.GetParentSpanId())
	require.Equal(t, tracepb.Status_STATUS_CODE_ERROR, check.GetStatus().GetCode())
	require.NotContains(t, c.raw.String(), "xoxb")
}
