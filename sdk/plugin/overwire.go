package plugin

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// OverWire serves p in this process over a Unix socket and returns a described
// Client of it with its link open, so that a test meets p as the host does. The
// caller runs stop, which ends all of it.
func OverWire(ctx context.Context, p sdk.Plugin) (_ *Client, stop func(), err error) {
	dir, err := os.MkdirTemp("", "jf")
	if err != nil {
		return nil, nil, fmt.Errorf("serve plugin: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", filepath.Join(dir, "p"))
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, fmt.Errorf("serve plugin: %w", err)
	}
	s := newServer(p, hclog.NewNullLogger())
	server := grpc.NewServer(serverOptions(s.log, nil)...)
	pluginv1.RegisterPluginServiceServer(server, s)
	status := health.NewServer()
	status.SetServingStatus(healthService, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, status)

	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	conn, err := grpc.NewClient("unix://"+listener.Addr().String(), append(DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		server.Stop()
		wg.Wait()
		_ = os.RemoveAll(dir)
		return nil, nil, fmt.Errorf("dial plugin: %w", err)
	}
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	client := NewClient(conn)
	wg.Go(func() { _ = client.Link(linked) })
	stop = sync.OnceFunc(func() {
		unlink()
		_ = conn.Close()
		server.Stop()
		wg.Wait()
		s.closeAll()
		_ = os.RemoveAll(dir)
	})
	if _, err := client.Describe(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	return client, stop, nil
}
