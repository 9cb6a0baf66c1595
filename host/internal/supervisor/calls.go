package supervisor

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// Call is a call of a plugin that has ended.
type Call struct {
	Plugin string
	Method string // of the protocol, such as ProcessStream
	Code   uint32 // of gRPC; a plugin can answer any number
	Took   time.Duration
}

// calls tells of the calls of one plugin. It does its work once a call, and looks
// away from what a call carries.
type calls struct {
	plugin string
	told   func(Call)
}

var _ stats.Handler = (*calls)(nil)

// methodKey is where a call's context has its method.
type methodKey struct{}

// ourMethods is what the methods of our protocol begin with. What go-plugin says to
// itself is not counted.
const ourMethods = "/jackfield.plugin.v1.PluginService/"

// TagRPC implements stats.Handler.
func (*calls) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	method, ok := strings.CutPrefix(info.FullMethodName, ourMethods)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, methodKey{}, method)
}

// HandleRPC implements stats.Handler.
func (c *calls) HandleRPC(ctx context.Context, s stats.RPCStats) {
	end, ok := s.(*stats.End)
	if !ok {
		return
	}
	if method, ok := ctx.Value(methodKey{}).(string); ok {
		c.told(Call{Plugin: c.plugin, Method: method, Code: uint32(status.Code(end.Error)), Took: end.EndTime.Sub(end.BeginTime)})
	}
}

// TagConn implements stats.Handler.
func (*calls) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (*calls) HandleConn(context.Context, stats.ConnStats) {}
