package plugin_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// quiet is a plugin whose link is open, and that says nothing on it.
type quiet struct{ wild }

func (*quiet) HostLink(stream grpc.BidiStreamingServer[pluginv1.HostLinkRequest, pluginv1.HostLinkResponse]) error {
	<-stream.Context().Done()
	return stream.Context().Err()
}

// rows: H13
//
// A connection on which nothing happens for an hour is not cut, although a server of
// gRPC takes pings for an attack that come more often than every five minutes.
func TestAQuietConnectionIsNotCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wire, server := bufconn.Listen(1<<16), grpc.NewServer() // as of a plugin without this SDK
		pluginv1.RegisterPluginServiceServer(server, &quiet{})
		go func() { _ = server.Serve(wire) }() // ends with Stop
		defer server.Stop()
		dials := 0
		conn, err := grpc.NewClient("passthrough:///plugin", append(plugin.DialOptions(),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				dials++
				return wire.DialContext(ctx)
			}))...)
		require.NoError(t, err)
		defer conn.Close() //nolint:errcheck // of the test
		client := plugin.NewClient(conn)
		ctx, cancel := context.WithCancel(t.Context())
		lost := make(chan error, 1)
		go func() { lost <- client.Link(ctx) }()
		<-time.After(time.Hour)
		select {
		case err := <-lost:
			require.NoError(t, err, "the link was cut")
		default:
		}
		_, err = client.Open(t.Context(), sdk.Integration{})
		require.NoError(t, err)
		require.Equal(t, 1, dials, "it is the same connection")
		cancel()
		require.Error(t, <-lost)
	})
}
