package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/jackfield/jackfield/store"
)

// guard lets in who has a token and is no plugin's process (K20), for what the token
// is for, while there is room (F28).
type guard struct {
	identify  func(ctx context.Context, token string) (Caller, error)
	authorize func(ctx context.Context, caller Caller, method string, req any) error
	admit     func(method string) error
	refuse    func(pid int) bool
	log       hclog.Logger
}

func (g *guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	caller, err := g.check(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	if err := g.authorize(ctx, caller, info.FullMethod, req); err != nil {
		return nil, err
	}
	return handle(context.WithValue(ctx, callerKey{}, caller), req)
}

func (g *guard) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	caller, err := g.check(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return handle(srv, &guarded{
		ServerStream: stream, ctx: context.WithValue(stream.Context(), callerKey{}, caller),
		authorize: func(ctx context.Context, req any) error { return g.authorize(ctx, caller, info.FullMethod, req) },
	})
}

// guarded is a stream whose request is authorized when it is read.
type guarded struct {
	grpc.ServerStream
	ctx       context.Context
	authorize func(ctx context.Context, req any) error
}

// Context returns the stream's, with its caller.
func (g *guarded) Context() context.Context { return g.ctx }

// RecvMsg reads the request.
func (g *guarded) RecvMsg(m any) error {
	if err := g.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return g.authorize(g.ctx, m)
}

// check returns who calls.
func (g *guard) check(ctx context.Context, method string) (Caller, error) {
	who := peerOf(ctx)
	if who.known && who.uid != os.Geteuid() && who.uid != 0 {
		g.log.Warn("refused a process of another user", "pid", who.pid, "uid", who.uid, "method", method)
		return Caller{}, &Error{Kind: KindDenied, Message: "only the daemon's user may use the API", Hint: "run this as the daemon's user"}
	}
	if who.known && g.refuse != nil && g.refuse(who.pid) {
		g.log.Warn("refused a plugin's process", "pid", who.pid, "method", method)
		return Caller{}, &Error{Kind: KindDenied, Message: "a plugin's process may not use the API"}
	}
	caller, err := g.identify(ctx, bearer(ctx))
	if errors.Is(err, store.ErrNotFound) {
		return Caller{}, &Error{
			Kind: KindUnauthenticated, Message: "the token is missing, wrong or over",
			Hint: "the daemon makes a new one at each start, in " + TokenName + " of its data directory; JACKFIELD_TOKEN goes before the file",
		}
	}
	if err != nil {
		return Caller{}, err
	}
	return caller, g.admit(method)
}

// bearer returns the token that a call came with; empty for none, or several.
func bearer(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 {
		return ""
	}
	token, _ := strings.CutPrefix(values[0], "Bearer ")
	if token == values[0] {
		return ""
	}
	return token
}

// SameToken compares sums of equal length, so that the time tells nothing at all.
func SameToken(a, b string) bool {
	got, want := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

func peerOf(ctx context.Context) peerInfo {
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(peerInfo); ok {
			return info
		}
	}
	return peerInfo{}
}
