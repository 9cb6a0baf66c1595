package telemetry

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The bounds of what waits for the collector.
const (
	maxSpans     = 8192
	spansAtOnce  = 512
	gatherSpans  = time.Second // so that few requests are made
	sendTimeout  = 5 * time.Second
	sendRetries  = 10 * time.Second
	lastSpansFor = 2 * time.Second // when the daemon stops
)

// What became of spans.
const (
	spansSent    = "sent"
	spansFailed  = "failed"  // the collector did not take them
	spansDropped = "dropped" // there were too many
)

// spanExporter sends spans.
type spanExporter interface {
	ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error
	Shutdown(ctx context.Context) error
}

// spanQueue holds the spans that wait for the collector. Whoever ends a span waits for
// nobody: those for which there is no room are counted and dropped.
type spanQueue struct {
	opts     TraceOptions
	exporter spanExporter
	spans    chan sdktrace.ReadOnlySpan
	failing  bool // told; run's alone
}

var _ sdktrace.SpanProcessor = (*spanQueue)(nil)

func newSpanQueue(ctx context.Context, opts TraceOptions) (*spanQueue, error) {
	exporter, err := otlptracehttp.New(ctx, // it dials nobody
		otlptracehttp.WithEndpointURL(strings.TrimSuffix(opts.Endpoint, "/")+"/v1/traces"),
		otlptracehttp.WithTimeout(sendTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: sendRetries}),
	)
	if err != nil {
		return nil, fmt.Errorf("trace to %s: %w", opts.Endpoint, err)
	}
	return &spanQueue{opts: opts, exporter: exporter, spans: make(chan sdktrace.ReadOnlySpan, maxSpans)}, nil
}

// OnStart implements sdktrace.SpanProcessor.
func (*spanQueue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (q *spanQueue) OnEnd(s sdktrace.ReadOnlySpan) {
	select {
	case q.spans <- s:
	default:
		q.opts.Count(spansDropped, 1)
	}
}

// Shutdown implements sdktrace.SpanProcessor. The queue ends with run.
func (*spanQueue) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (*spanQueue) ForceFlush(context.Context) error { return nil }

// run sends until ctx ends, and then what is left within a bounded time.
func (q *spanQueue) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if batch := q.gather(ctx); len(batch) > 0 {
			q.send(ctx, batch)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpansFor)
	defer cancel()
	for batch := q.waiting(nil); len(batch) > 0; batch = q.waiting(nil) {
		if last.Err() != nil {
			q.opts.Count(spansDropped, len(batch))
			continue
		}
		q.send(last, batch)
	}
	_ = q.exporter.Shutdown(last) // it holds nothing
	return nil
}

// gather waits for spans and takes what has come a moment later.
func (q *spanQueue) gather(ctx context.Context) []sdktrace.ReadOnlySpan {
	var batch []sdktrace.ReadOnlySpan
	select {
	case s := <-q.spans:
		batch = append(batch, s)
	case <-ctx.Done():
		return nil
	}
	timer := time.NewTimer(gatherSpans)
	defer timer.Stop()
	for len(batch) < spansAtOnce {
		select {
		case s := <-q.spans:
			batch = append(batch, s)
		case <-timer.C:
			return batch
		case <-ctx.Done():
			return q.waiting(batch)
		}
	}
	return batch
}

// waiting adds what is in the queue to batch, up to what is sent at once.
func (q *spanQueue) waiting(batch []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	for len(batch) < spansAtOnce {
		select {
		case s := <-q.spans:
			batch = append(batch, s)
		default:
			return batch
		}
	}
	return batch
}

// send sends a batch. A daemon that stops meanwhile gives what is being sent the time
// that there is for the last ones.
func (q *spanQueue) send(ctx context.Context, batch []sdktrace.ReadOnlySpan) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(lastSpansFor):
			cancel()
		case <-sending.Done():
		}
	})()
	err := q.exporter.ExportSpans(sending, batch)
	if err == nil {
		q.failing = false
		q.opts.Count(spansSent, len(batch))
		return
	}
	q.opts.Count(spansFailed, len(batch))
	if !q.failing {
		q.failing = true
		q.opts.Log.Warn("traces are not taken", "endpoint", q.opts.Endpoint, "spans", len(batch), "error", q.opts.Redact(err.Error()))
	}
}
