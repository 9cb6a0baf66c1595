package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// guard lets in who has the token and is no plugin's process (K20), while there
// is room (F28).
type guard struct {
	authorized func(token string) bool
	admit      func(method string) error
	refuse     func(pid int) bool
	log        hclog.Logger
}

func (g *guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := g.check(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handle(ctx, req)
}

func (g *guard) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := g.check(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return handle(srv, stream)
}

func (g *guard) check(ctx context.Context, method string) error {
	who := peerOf(ctx)
	if who.known && who.uid != os.Geteuid() && who.uid != 0 {
		g.log.Warn("refused a process of another user", "pid", who.pid, "uid", who.uid, "method", method)
		return &Error{Kind: KindDenied, Message: "only the daemon's user may use the API", Hint: "run this as the daemon's user"}
	}
	if who.known && g.refuse != nil && g.refuse(who.pid) {
		g.log.Warn("refused a plugin's process", "pid", who.pid, "method", method)
		return &Error{Kind: KindDenied, Message: "a plugin's process may not use the API"}
	}
	if !g.hasToken(ctx) {
		return &Error{
			Kind: KindUnauthenticated, Message: "the token is missing or wrong",
			Hint: "the daemon makes a new one at each start, in " + TokenName + " of its data directory; JACKFIELD_TOKEN goes before the file",
		}
	}
	return g.admit(method)
}

func (g *guard) hasToken(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 {
		return false
	}
	token, ok := strings.CutPrefix(values[0], "Bearer ")
	return ok && g.authorized(token)
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
