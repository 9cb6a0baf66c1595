package sdk

import "context"

// traceKey is where a call's context has its place in a trace.
type traceKey struct{}

// TraceParent returns the call's place in the host's trace, as the header traceparent
// of W3C Trace Context writes it: requests that an author sends it with stand below the
// call. It is empty if nobody traces the call.
func TraceParent(ctx context.Context) string {
	parent, _ := ctx.Value(traceKey{}).(string)
	return parent
}

// WithTraceParent returns a context whose TraceParent is parent. It is for who calls a
// plugin: authors have no use for it but in a test.
func WithTraceParent(ctx context.Context, parent string) context.Context {
	return context.WithValue(ctx, traceKey{}, parent)
}
