package plugin_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protowire"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// newer is a plugin of a later SDK: with a capability and fields that nobody knows yet.
type newer struct{ wild }

func (*newer) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	m := &pluginv1.Manifest{
		Name: "newer", Label: "Newer", Version: "9.0.0", Kind: string(sdk.KindOperation), Capabilities: []string{"check", "telepathy", "invoke"},
	}
	m.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 4000, protowire.BytesType), "of tomorrow"))
	return &pluginv1.DescribeResponse{Manifest: m}, nil
}

// rows: H32
//
// What a side does not know is off, and no error: a plugin that was built with a later
// SDK of the same protocol serves with what both know.
func TestWhatIsNotKnownIsOff(t *testing.T) {
	t.Parallel()
	wire, server := bufconn.Listen(1<<16), grpc.NewServer()
	pluginv1.RegisterPluginServiceServer(server, &newer{})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(wire) }) // until Stop
	conn, err := grpc.NewClient("passthrough:///newer", append(plugin.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return wire.DialContext(ctx) }))...)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		server.Stop()
		serving.Wait()
	})
	m, err := plugin.NewClient(conn).Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, []sdk.Capability{sdk.CanCheck, sdk.CanInvoke}, m.Capabilities)

	// An author is told: what is not known here is a slip of the pen.
	m.Capabilities = append(m.Capabilities, "telepathy")
	require.ErrorContains(t, m.Validate(), `capabilities[2] "telepathy": unknown`)
}
