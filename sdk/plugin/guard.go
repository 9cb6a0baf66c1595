package plugin

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// guard stands before the handlers: one that panics fails its call, not the
// process with the calls of every tenant.
type guard struct {
	log   hclog.Logger
	first func() // run before the first call of the service, if any
	spans spans
}

func (g guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (_ any, err error) {
	defer g.recovered(info.FullMethod, &err)
	defer g.overtime(ctx, info.FullMethod)()
	g.before(info.FullMethod)
	ctx, end := g.spans.begin(ctx)
	if end != nil {
		defer func() { _ = grpc.SetTrailer(ctx, end()) }() // fails for a call that has ended
	}
	return next(ctx, req)
}

func (g guard) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer g.recovered(info.FullMethod, &err)
	defer g.overtime(stream.Context(), info.FullMethod)()
	g.before(info.FullMethod)
	ctx, end := g.spans.begin(stream.Context())
	if end != nil {
		defer func() { stream.SetTrailer(end()) }()
		return next(srv, &tracedStream{stream, ctx})
	}
	return next(srv, stream)
}

// overtime logs a call that goes on after it was cancelled or its time is over, until
// the function that it returns is run.
func (g guard) overtime(ctx context.Context, method string) func() {
	over := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(overtimeAfter)
		defer timer.Stop()
		select {
		case <-over:
		case <-timer.C:
			g.log.Warn(sdk.MessageOvertime, "method", method, "after", overtimeAfter.String())
		}
	})
	return func() {
		unhook()
		close(over)
	}
}

func (g guard) before(method string) {
	if g.first != nil && strings.HasPrefix(method, "/"+pluginv1.PluginService_ServiceDesc.ServiceName+"/") {
		g.first()
	}
}

func (g guard) recovered(method string, err *error) {
	r := recover()
	if r == nil {
		return
	}
	g.log.Error("panic in a call", "method", method, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	*err = statusWith(codes.Internal, &sdk.Error{Class: sdk.ClassSystem, Code: codePanic, Message: fmt.Sprintf("the plugin panicked: %v", r)})
}
