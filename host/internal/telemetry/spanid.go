package telemetry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/jackfield/jackfield/store"
)

// spanIDs give a span the IDs that its context asks for, or some by chance.
type spanIDs struct{}

var _ sdktrace.IDGenerator = spanIDs{}

// idsKey is where a context has the ids that its next span gets.
type idsKey struct{}

type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

// wantIDs returns a context whose next span has the IDs: that of the span, and that of
// the trace if it begins one.
func wantIDs(ctx context.Context, traceID trace.TraceID, spanID trace.SpanID) context.Context {
	return context.WithValue(ctx, idsKey{}, ids{traceID, spanID})
}

// NewIDs implements sdktrace.IDGenerator.
func (spanIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if want, ok := ctx.Value(idsKey{}).(ids); ok {
		return want.trace, want.span
	}
	var out ids
	_, _ = rand.Read(out.trace[:]) // never fails
	_, _ = rand.Read(out.span[:])
	return out.trace, out.span
}

// NewSpanID implements sdktrace.IDGenerator.
func (spanIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if want, ok := ctx.Value(idsKey{}).(ids); ok {
		return want.span
	}
	var out trace.SpanID
	_, _ = rand.Read(out[:]) // never fails
	return out
}

// runIDs are the trace of a run and its own span in it: what is claimed of it after a
// restart joins them. luck, from 0 to 1, says whether it is among those that are traced.
func runIDs(run store.Run) (traceID trace.TraceID, spanID trace.SpanID, luck float64) {
	sum := sha256.Sum256(fmt.Appendf(nil, "jackfield run %d %d %d", run.IntegrationID, run.ID, run.CreatedAt.UnixMilli()))
	n := copy(traceID[:], sum[:])
	n += copy(spanID[:], sum[n:])
	return traceID, spanID, float64(binary.BigEndian.Uint32(sum[n:])) / math.MaxUint32
}
