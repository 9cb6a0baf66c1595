package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// maxAnswer bounds what the API answers.
const maxAnswer = 64 << 20

// Options are what New needs to know; all is required.
type Options struct {
	// Dial connects to the API.
	Dial func(ctx context.Context) (net.Conn, error)
	// Document writes a message as JSON.
	Document func(proto.Message) ([]byte, error)
}

// Gateway turns requests of HTTP into calls of the API.
type Gateway struct {
	opts Options
	mux  atomic.Pointer[runtime.ServeMux] // nil while it does not run
}

// New returns a gateway that serves nothing yet.
func New(opts Options) *Gateway { return &Gateway{opts: opts} }

// Run serves until ctx ends.
func (g *Gateway) Run(ctx context.Context) error {
	conn, err := grpc.NewClient("passthrough:///api",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return g.opts.Dial(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // it does not leave the process
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
	)
	if err != nil {
		return fmt.Errorf("connect to the api: %w", err)
	}
	mux, err := g.newMux(ctx, conn)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	g.mux.Store(mux)
	<-ctx.Done()
	g.mux.Store(nil)
	return conn.Close()
}

func (g *Gateway) newMux(ctx context.Context, conn *grpc.ClientConn) (*runtime.ServeMux, error) {
	lines := marshaler{document: g.opts.Document}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, lines),
		runtime.WithMarshalerOption(eventStream, events{lines}),
		runtime.WithErrorHandler(handleError),
		runtime.WithRoutingErrorHandler(handleRouting),
		runtime.WithStreamErrorHandler(handleStreamError),
		runtime.WithIncomingHeaderMatcher(func(name string) (string, bool) { return "idempotency-key", name == "Idempotency-Key" }),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllCharacters),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		hostv1.RegisterCallServiceHandler,
		hostv1.RegisterConfigServiceHandler,
		hostv1.RegisterDatabaseServiceHandler,
		hostv1.RegisterEndpointServiceHandler,
		hostv1.RegisterEventServiceHandler,
		hostv1.RegisterIntegrationServiceHandler,
		hostv1.RegisterMemberServiceHandler,
		hostv1.RegisterPluginServiceHandler,
		hostv1.RegisterRecordServiceHandler,
		hostv1.RegisterRunServiceHandler,
		hostv1.RegisterScreenServiceHandler,
		hostv1.RegisterStatusServiceHandler,
		hostv1.RegisterStreamServiceHandler,
		hostv1.RegisterTemplateServiceHandler,
		hostv1.RegisterTenantServiceHandler,
		hostv1.RegisterTokenServiceHandler,
		hostv1.RegisterAuthServiceHandler,
	} {
		if err := register(ctx, mux, conn); err != nil {
			return nil, fmt.Errorf("register routes: %w", err)
		}
	}
	return mux, nil
}

// ServeHTTP answers a request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mux := g.mux.Load()
	if mux == nil {
		problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "the API does not answer yet"}.write(w)
		return
	}
	body, err := io.ReadAll(r.Body) // the listener bounds it
	if err != nil {
		p := problem{Status: http.StatusBadRequest, Code: "invalid", Detail: "the body cannot be read"}
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			p = problem{Status: http.StatusRequestEntityTooLarge, Code: "limit", Detail: fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit)}
		}
		p.write(w)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	p := newPatient(w)
	mux.ServeHTTP(p, r.WithContext(context.WithValue(r.Context(), patientKey{}, p)))
}
