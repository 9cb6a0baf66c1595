package plugin

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// raw answers ProcessStream with a batch of the test's own bytes.
type raw struct {
	pluginv1.UnimplementedPluginServiceServer
	batch *pluginv1.Batch
}

func (r *raw) ProcessStream(_ *pluginv1.ProcessStreamRequest, out grpc.ServerStreamingServer[pluginv1.ProcessStreamResponse]) error {
	return out.Send(&pluginv1.ProcessStreamResponse{Part: &pluginv1.ProcessStreamResponse_Batch{Batch: r.batch}})
}

// receive returns how the host's side takes the batch.
func receive(t *testing.T, b *pluginv1.Batch) (taken []sdk.Batch, err error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "jf") //nolint:usetesting // the path of a socket must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(dir, "p"))
	require.NoError(t, err)
	server := grpc.NewServer()
	pluginv1.RegisterPluginServiceServer(server, &raw{batch: b})
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); wg.Wait() })
	conn, err := grpc.NewClient("unix://"+listener.Addr().String(), append(DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	s := &kept{}
	_, err = (&instance{client: NewClient(conn), handle: "1"}).ProcessStream(t.Context(), sdk.StreamCall{}, sdk.NewEmitter(s))
	return s.batches, err
}

type kept struct{ batches []sdk.Batch }

func (k *kept) Send(_ context.Context, b sdk.Batch) error {
	k.batches = append(k.batches, b)
	return nil
}
func (k *kept) Checkpoint(context.Context, sdk.Checkpoint) error { return nil }

// rows: C12
func TestAnUnknownOperationFailsTheStreamByName(t *testing.T) {
	t.Parallel()
	newer := &pluginv1.Batch{}
	newer.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 77, protowire.BytesType), "merge_members"))
	member := &pluginv1.Member{Op: 9, ExternalId: "ann"}
	for name, c := range map[string]struct {
		batch *pluginv1.Batch
		want  string
	}{
		"Record":     {&pluginv1.Batch{Records: []*pluginv1.Record{{Op: 9, Kind: "thing", ExternalId: "7"}}}, `operation 9 of "thing" "7"`},
		"None":       {&pluginv1.Batch{Records: []*pluginv1.Record{{Kind: "thing", ExternalId: "7"}}}, `operation OP_UNSPECIFIED of "thing" "7"`},
		"Member":     {&pluginv1.Batch{Members: []*pluginv1.Member{member}}, `operation 9 of "member" "ann"`},
		"Activity":   {&pluginv1.Batch{Activities: []*pluginv1.Activity{{Op: pluginv1.Op_OP_UPDATE, ExternalId: "a"}}}, `operation OP_UPDATE of activity "a"`},
		"ItsMember":  {&pluginv1.Batch{Activities: []*pluginv1.Activity{{Op: pluginv1.Op_OP_UPSERT, ExternalId: "a", Member: member}}}, `operation 9 of "member" "ann"`},
		"OfTheBatch": {newer, "operation field 77 of a batch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			taken, err := receive(t, c.batch)
			require.Equal(t, "unknown_operation", sdk.AsError(err).Code)
			require.ErrorContains(t, err, c.want)
			require.Empty(t, taken)
		})
	}
	taken, err := receive(t, &pluginv1.Batch{Records: []*pluginv1.Record{{Op: pluginv1.Op_OP_UPDATE, Kind: "thing", ExternalId: "7", Data: []byte("{}")}}})
	require.Error(t, err) // there is no outcome
	require.Len(t, taken, 1)
}
