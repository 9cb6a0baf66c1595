package plugin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/jackfield/jackfield/sdk"
)

// What a traced call carries beside its messages: to the plugin its place in the trace,
// and back, behind the answer, the plugin's own side of it. A plugin that knows of
// neither has calls like any other.
const (
	parentKey = "traceparent"    // as W3C Trace Context writes it
	spanKey   = "jackfield-span" // ID, and when it began and ended in nanoseconds of Unix time
)

const spanIDBytes = 8

// Span is a plugin's side of a call.
type Span struct {
	ID           string // 16 hex digits
	Began, Ended time.Time
}

// WithTrace has the calls of the context tell the plugin where they stand in a trace:
// below parent, a traceparent.
func WithTrace(ctx context.Context, parent string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, parentKey, parent)
}

// SpanOf returns what a plugin told of its side of a call in the trailer; false if it
// told nothing that can be read.
func SpanOf(trailer metadata.MD) (Span, bool) {
	texts := trailer.Get(spanKey)
	if len(texts) != 1 {
		return Span{}, false
	}
	var (
		s            Span
		began, ended int64
	)
	if n, err := fmt.Sscanf(texts[0], "%16s %d %d", &s.ID, &began, &ended); n != 3 || err != nil {
		return Span{}, false
	}
	if id, err := hex.DecodeString(s.ID); err != nil || len(id) != spanIDBytes {
		return Span{}, false
	}
	s.Began, s.Ended = time.Unix(0, began), time.Unix(0, ended)
	return s, true
}

// spans begin the plugin's side of the calls that the host traces.
type spans struct {
	parent *regexp.Regexp // of a call that is traced
}

func newSpans() spans {
	return spans{parent: regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf]$`)}
}

// begin returns the context of the plugin's side of a call, and what tells the host of
// it at its end; the same context and nil if the call is not traced.
func (s spans) begin(ctx context.Context) (context.Context, func() metadata.MD) {
	texts := metadata.ValueFromIncomingContext(ctx, parentKey)
	if len(texts) != 1 || !s.parent.MatchString(texts[0]) {
		return ctx, nil
	}
	var raw [spanIDBytes]byte
	_, _ = rand.Read(raw[:]) // never fails
	id, began := hex.EncodeToString(raw[:]), time.Now()
	parts := strings.Split(texts[0], "-")
	parts[2] = id
	return sdk.WithTraceParent(ctx, strings.Join(parts, "-")), func() metadata.MD {
		return metadata.Pairs(spanKey, fmt.Sprintf("%s %d %d", id, began.UnixNano(), time.Now().UnixNano()))
	}
}

// tracedStream is a stream whose calls stand in a trace.
type tracedStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // it takes the place of the stream's own
}

// Context implements grpc.ServerStream.
func (s *tracedStream) Context() context.Context { return s.ctx }
