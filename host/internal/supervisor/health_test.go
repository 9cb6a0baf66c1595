package supervisor

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"github.com/jackfield/jackfield/sdk/plugin"
)

// pulse is a process that answers health checks until it is frozen.
type pulse struct {
	grpc_health_v1.UnimplementedHealthServer
	frozen atomic.Bool
	asked  atomic.Int64
}

func (p *pulse) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	p.asked.Add(1)
	if p.frozen.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

// rows: H03, H10, F03
//
// A frozen process is found within 15 seconds, whenever between two questions it
// froze, and has 3 seconds at most from then on. That it has calls or none makes no
// difference: health is asked by a call of its own with a deadline of its own.
func TestAFrozenProcessIsFoundInTime(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, dumpTimeout+killTimeout, 3*time.Second)
	for phase := time.Duration(0); phase < 5*time.Second; phase += 700 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) { foundInTime(t, phase) })
	}
}

func foundInTime(t *testing.T, phase time.Duration) {
	t.Helper()
	wire, server, p := bufconn.Listen(1<<16), grpc.NewServer(), &pulse{}
	grpc_health_v1.RegisterHealthServer(server, p)
	go func() { _ = server.Serve(wire) }() // ends with Stop
	defer server.Stop()
	conn, err := grpc.NewClient("passthrough:///process", append(plugin.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return wire.DialContext(ctx) }))...)
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // of the test
	opts := Options{}.withDefaults()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	x := &process{
		opts: opts, sup: &Supervisor{opts: opts}, client: plugin.NewClient(conn),
		x: &execution{started: make(chan struct{}), exited: make(chan struct{})}, // nothing that could be killed
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		x.watchHealth(ctx)
	}()
	<-time.After(20*time.Second + phase)
	synctest.Wait()
	require.GreaterOrEqual(t, p.asked.Load(), int64(4), "it is asked while it is well")
	require.NoError(t, x.condemned())
	p.frozen.Store(true)
	froze := time.Now()
	<-over
	require.ErrorIs(t, x.condemned(), errUnhealthy)
	require.LessOrEqual(t, time.Since(froze), 15*time.Second, "frozen %s after a question", phase)
}

// condemned is why the process is killed, if it is.
func (p *process) condemned() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}
