package telemetry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/jackfield/jackfield/store"
)

// serviceName is the daemon's; a plugin's side of a call is of a service of the
// plugin's name.
const serviceName = "jackfield"

// TraceOptions are what NewTraces needs to know.
type TraceOptions struct {
	// Endpoint is the URL of a collector that speaks OTLP over HTTP; spans go to
	// /v1/traces below it.
	Endpoint string
	Share    float64 // of the runs, and of the calls of no run, that are traced; all if zero
	Version  string
	// Redact takes known secrets out of what a plugin says; none if nil.
	Redact func(string) string
	// Count is told what became of spans: sent, failed or dropped; nobody is if nil.
	Count func(result string, spans int)
	Log   hclog.Logger // none if nil
}

// Traces make spans of what the daemon does, and send them to a collector. A run is a
// trace, also over restarts of the daemon: below it stand the claims of its streams,
// below those the calls of plugins and the segments that were applied, below a call
// the plugin's side of it. Nothing of records and settings becomes a span. Its methods
// may be called from several goroutines and wait for nobody.
type Traces struct {
	opts  TraceOptions
	queue *spanQueue
	host  trace.Tracer
	code  *regexp.Regexp // of what a plugin may call an error

	plugins *names

	mu      sync.Mutex              // guards tracers
	tracers map[string]trace.Tracer // of plugins, by name
}

// NewTraces returns traces that Run sends. Nothing is dialled before.
func NewTraces(ctx context.Context, opts TraceOptions) (*Traces, error) {
	if opts.Redact == nil {
		opts.Redact = func(s string) string { return s }
	}
	if opts.Count == nil {
		opts.Count = func(string, int) {}
	}
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	if opts.Share <= 0 || opts.Share > 1 {
		opts.Share = 1
	}
	queue, err := newSpanQueue(ctx, opts)
	if err != nil {
		return nil, err
	}
	t := &Traces{
		opts: opts, queue: queue, plugins: newNames(maxPlugins), tracers: map[string]trace.Tracer{},
		code: regexp.MustCompile(`^[a-z0-9_.-]{1,64}$`),
	}
	t.host = t.tracer(serviceName, opts.Version)
	return t, nil
}

// Run sends what is traced until ctx ends, and then what is left, for two seconds at
// most. What cannot be sent in time is counted and dropped.
func (t *Traces) Run(ctx context.Context) error { return t.queue.run(ctx) }

// tracer returns one that makes spans of a service.
func (t *Traces) tracer(service, version string) trace.Tracer {
	attrs := []attribute.KeyValue{attribute.String("service.name", service)}
	if version != "" {
		attrs = append(attrs, attribute.String("service.version", version))
	}
	limits := sdktrace.SpanLimits{AttributeValueLengthLimit: 256, AttributeCountLimit: 32, EventCountLimit: 0, LinkCountLimit: 0}
	return sdktrace.NewTracerProvider(
		sdktrace.WithResource(resource.NewSchemaless(attrs...)), sdktrace.WithSpanProcessor(t.queue),
		sdktrace.WithIDGenerator(spanIDs{}), sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithRawSpanLimits(limits),
	).Tracer("github.com/jackfield/jackfield")
}

// of returns the tracer of a plugin.
func (t *Traces) of(plugin string) trace.Tracer {
	plugin = t.plugins.clamp(plugin)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tracers[plugin] == nil {
		t.tracers[plugin] = t.tracer(plugin, "")
	}
	return t.tracers[plugin]
}

// Claim begins the span of the claim of a stream. The context that it returns carries
// it to the calls that are made for the stream; end is told what became of it.
func (t *Traces) Claim(ctx context.Context, run store.Run, s store.Stream) (_ context.Context, end func(store.StreamState, int, *store.Failure)) {
	ctx = trace.ContextWithRemoteSpanContext(ctx, t.root(run))
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, func(store.StreamState, int, *store.Failure) {}
	}
	ctx, span := t.host.Start(ctx, "stream "+string(s.Type), trace.WithAttributes(append(ofRun(run),
		attribute.Int64("jackfield.stream.id", s.ID), attribute.String("jackfield.stream.type", string(s.Type)),
		attribute.String("jackfield.connector", s.Connector), attribute.Int64("jackfield.stream.claim", s.Claim),
		attribute.Int("jackfield.stream.attempts", s.Attempts),
	)...))
	return ctx, func(state store.StreamState, segments int, failure *store.Failure) {
		span.SetAttributes(attribute.String("jackfield.stream.state", string(state)), attribute.Int("jackfield.segments", segments))
		t.fail(span, failure)
		span.End()
	}
}

// Check begins the span of a connection test, which is a trace of its own.
func (t *Traces) Check(ctx context.Context, in store.Integration) (_ context.Context, end func(error)) {
	if !t.chance() {
		return trace.ContextWithRemoteSpanContext(ctx, t.untraced()), func(error) {}
	}
	ctx, span := t.host.Start(ctx, "check", trace.WithNewRoot(), trace.WithAttributes(
		attribute.String("jackfield.tenant", in.Tenant), attribute.String("jackfield.integration", in.Name), attribute.String("jackfield.plugin", in.Plugin),
	))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "the check failed")
		}
		span.End()
	}
}

// chance reports whether what belongs to no run is traced.
func (t *Traces) chance() bool { return rand.Float64() < t.opts.Share } //nolint:gosec // a sample is no secret

// untraced is the place of what is not traced: nothing below it is either.
func (*Traces) untraced() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, Remote: true})
}

// fail marks a span by the class and code of what failed, not by its words: those are
// the remote system's, and may hold anything.
func (t *Traces) fail(span trace.Span, f *store.Failure) {
	if f == nil {
		return
	}
	code := t.opts.Redact(f.Code)
	if !t.code.MatchString(code) {
		code = other
	}
	span.SetAttributes(attribute.String("error.type", f.Class), attribute.String("jackfield.error.code", code))
	span.SetStatus(codes.Error, f.Class)
}

// Segment tells of a segment that was applied, or was not, in the claim of ctx.
func (t *Traces) Segment(ctx context.Context, began time.Time, records int, err error) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return
	}
	_, span := t.host.Start(ctx, "apply", trace.WithTimestamp(began), trace.WithAttributes(attribute.Int("jackfield.records", records)))
	if err != nil {
		span.SetStatus(codes.Error, "not applied")
	}
	span.End()
}

// Ended tells of a run that has ended.
func (t *Traces) Ended(ctx context.Context, run store.Run, state store.RunState) {
	root := t.root(run)
	if !root.IsSampled() {
		return
	}
	began := run.StartedAt
	if began.IsZero() {
		began = run.CreatedAt
	}
	ctx = wantIDs(ctx, root.TraceID(), root.SpanID())
	_, span := t.host.Start(ctx, "run "+string(run.Kind), trace.WithNewRoot(), trace.WithTimestamp(began), trace.WithAttributes(
		append(ofRun(run), attribute.String("jackfield.run.state", string(state)))...,
	))
	if state == store.RunError {
		span.SetStatus(codes.Error, "the run failed")
	}
	span.End()
}

func ofRun(run store.Run) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("jackfield.tenant", run.Tenant), attribute.String("jackfield.integration", run.Integration),
		attribute.String("jackfield.plugin", run.Plugin), attribute.String("jackfield.run.id", strconv.FormatInt(run.ID, 10)),
		attribute.String("jackfield.run.kind", string(run.Kind)),
	}
}

// root is where a run stands: the same whoever asks, before and after a restart.
func (t *Traces) root(run store.Run) trace.SpanContext {
	traceID, spanID, luck := runIDs(run)
	var flags trace.TraceFlags
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: flags.WithSampled(luck < t.opts.Share), Remote: true,
	})
}

// CallSpan is the span of a call of a plugin that goes on.
type CallSpan struct {
	traces         *Traces
	span           trace.Span
	plugin, method string
}

// PluginSpan is a plugin's own side of a call, as it told.
type PluginSpan struct {
	ID           string // 16 hex digits; empty: it told nothing
	Began, Ended time.Time
}

// Call begins the span of a call of a plugin: below the claim that makes it, or as a
// trace of its own. It returns nil for one that is not traced.
func (t *Traces) Call(ctx context.Context, plugin, method string) *CallSpan {
	switch from := trace.SpanContextFromContext(ctx); {
	case from.IsValid() && !from.IsSampled():
		return nil
	case from.IsValid():
	case method == "Describe" || method == "HostLink" || method == "Close" || !t.chance():
		return nil
	}
	_, span := t.host.Start(ctx, method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("rpc.system", "grpc"), attribute.String("rpc.method", method), attribute.String("jackfield.plugin", plugin),
	))
	return &CallSpan{traces: t, span: span, plugin: plugin, method: method}
}

// Parent is the span's place, as the header traceparent of W3C Trace Context has it.
func (s *CallSpan) Parent() string {
	c := s.span.SpanContext()
	return fmt.Sprintf("00-%s-%s-%s", c.TraceID(), c.SpanID(), c.TraceFlags())
}

// End ends the span by gRPC's code. Of the plugin's side it believes that it was
// within the call, and nothing else.
func (s *CallSpan) End(ctx context.Context, began, ended time.Time, code uint32, its PluginSpan) {
	if code > maxCode {
		code = unknownCode
	}
	s.span.SetAttributes(attribute.Int("rpc.grpc.status_code", int(code)))
	if code != 0 {
		s.span.SetStatus(codes.Error, "the call failed")
	}
	if id, err := trace.SpanIDFromHex(its.ID); err == nil {
		at := s.span.SpanContext()
		ctx = wantIDs(trace.ContextWithSpanContext(ctx, at), at.TraceID(), id)
		_, span := s.traces.of(s.plugin).Start(ctx, s.method, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(between(began, its.Began, ended)))
		span.End(trace.WithTimestamp(between(between(began, its.Began, ended), its.Ended, ended)))
	}
	s.span.End(trace.WithTimestamp(ended))
}

// between returns the time, no earlier than first and no later than last.
func between(first, at, last time.Time) time.Time {
	switch {
	case at.Before(first):
		return first
	case at.After(last):
		return last
	default:
		return at
	}
}
