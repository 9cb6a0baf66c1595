package supervisor

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/jackfield/jackfield/sdk/plugin"
)

// Call is a call of a plugin that has ended.
type Call struct {
	Plugin string
	Method string // of the protocol, such as ProcessStream
	Code   uint32 // of gRPC; a plugin can answer any number
	Took   time.Duration
}

// TracedCall is the end of a call that is traced.
type TracedCall struct {
	Began, Ended time.Time
	Code         uint32      // of gRPC; a plugin can answer any number
	Plugin       plugin.Span // its own side of the call; without an ID if it told of none
}

// calls tells of the calls of one plugin. It does its work once a call, and looks
// away from what a call carries.
type calls struct {
	plugin string
	told   func(Call)                                                                  // may be nil
	trace  func(ctx context.Context, plugin, method string) (string, func(TracedCall)) // likewise
}

// tagged is what a call's context has of it.
type tagged struct {
	method string
	end    func(TracedCall) // nil: it is not traced
}

var _ stats.Handler = (*calls)(nil)

// taggedKey is where a call's context has its *tagged.
type taggedKey struct{}

// What the services of our protocol begin with, in each of its versions, and end with.
// What go-plugin says to itself is not counted.
const (
	ourServices = "jackfield.plugin.v"
	ourService  = ".PluginService"
)

// TagRPC implements stats.Handler.
func (c *calls) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	service, method, ok := strings.Cut(strings.TrimPrefix(info.FullMethodName, "/"), "/")
	if !ok || !strings.HasPrefix(service, ourServices) || !strings.HasSuffix(service, ourService) {
		return ctx
	}
	t := &tagged{method: method}
	if c.trace != nil {
		var parent string
		if parent, t.end = c.trace(ctx, c.plugin, method); parent != "" {
			ctx = plugin.WithTrace(ctx, parent)
		}
	}
	return context.WithValue(ctx, taggedKey{}, t)
}

// HandleRPC implements stats.Handler.
func (c *calls) HandleRPC(ctx context.Context, s stats.RPCStats) {
	end, ok := s.(*stats.End)
	if !ok {
		return
	}
	t, ok := ctx.Value(taggedKey{}).(*tagged)
	if !ok {
		return
	}
	code := uint32(status.Code(end.Error))
	if c.told != nil {
		c.told(Call{Plugin: c.plugin, Method: t.method, Code: code, Took: end.EndTime.Sub(end.BeginTime)})
	}
	if t.end != nil {
		its, _ := plugin.SpanOf(end.Trailer)
		t.end(TracedCall{Began: end.BeginTime, Ended: end.EndTime, Code: code, Plugin: its})
	}
}

// TagConn implements stats.Handler.
func (*calls) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (*calls) HandleConn(context.Context, stats.ConnStats) {}
