package plugin_test

import (
	"bytes"
	"context"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// wild is a plugin that was made without the SDK and keeps to none of its bounds.
type wild struct {
	pluginv1.UnimplementedPluginServiceServer
	size    int // of an answer
	trailer int // of what stands behind it
	ask     int // bytes of what it asks of the host
	given   int // bytes of what it is called with
}

func (*wild) Open(context.Context, *pluginv1.OpenRequest) (*pluginv1.OpenResponse, error) {
	return &pluginv1.OpenResponse{Handle: "h"}, nil
}

func (w *wild) Invoke(ctx context.Context, _ *pluginv1.InvokeRequest) (*pluginv1.InvokeResponse, error) {
	if err := grpc.SetTrailer(ctx, metadata.Pairs("more", strings.Repeat("m", w.trailer))); err != nil {
		return nil, err
	}
	return &pluginv1.InvokeResponse{Payload: make([]byte, w.size)}, nil
}

func (w *wild) HostLink(stream pluginv1.PluginService_HostLinkServer) error {
	what := &pluginv1.HostLinkResponse{Id: 1, Ask: &pluginv1.HostLinkResponse_CacheGet{CacheGet: &pluginv1.CacheGet{Key: strings.Repeat("k", w.ask)}}}
	if err := stream.Send(what); err != nil {
		return err
	}
	_, err := stream.Recv()
	return err
}

// invoke calls w over the wire.
func (w *wild) invoke(t *testing.T) (err error) {
	t.Helper()
	w.dialled(t, func(c *plugin.Client) {
		i, openErr := c.Open(t.Context(), sdk.Integration{})
		require.NoError(t, openErr)
		_, err = i.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Payload: bytes.Repeat([]byte{'1'}, w.given)})
	})
	return err
}

// dialled has do done with a client of w.
func (w *wild) dialled(t *testing.T, do func(c *plugin.Client)) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(math.MaxInt32))
	pluginv1.RegisterPluginServiceServer(server, w)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	defer wg.Wait()
	defer server.Stop()
	opts := []grpc.DialOption{ // as go-plugin has them, which takes 2 GiB
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	}
	conn, err := grpc.NewClient(listener.Addr().String(), append(opts, plugin.DialOptions()...)...)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	do(plugin.NewClient(conn))
}

// rows: K24, H12
func TestTheHostTakesNoLargerMessageWhoeverSendsIt(t *testing.T) {
	t.Parallel()
	require.NoError(t, (&wild{size: 3 << 20}).invoke(t))
	requireSystem(t, (&wild{size: 5 << 20}).invoke(t), "message_too_large")
}

// rows: K24, H12
func TestTheHostSendsNoLargerMessageWhoeverTakesIt(t *testing.T) {
	t.Parallel()
	require.NoError(t, (&wild{given: 3 << 20}).invoke(t))
	requireSystem(t, (&wild{given: 5 << 20}).invoke(t), "message_too_large")
}

// rows: K19
func TestTheHostTakesNoLargerAskWhoeverSendsIt(t *testing.T) {
	t.Parallel()
	(&wild{ask: 1 << 20}).dialled(t, func(c *plugin.Client) {
		err := c.Link(t.Context())
		require.ErrorIs(t, err, plugin.ErrLost)
		require.ErrorContains(t, err, "larger than max")
	})
	// One that is not too large is answered, here with the end of a call that there is not.
	(&wild{ask: 1<<20 - 100}).dialled(t, func(c *plugin.Client) {
		require.NotContains(t, c.Link(t.Context()).Error(), "larger than max")
	})
}

// rows: P06
func TestTheHostTakesNoMoreHeaders(t *testing.T) {
	t.Parallel()
	require.NoError(t, (&wild{trailer: 100 << 10}).invoke(t))
	requireSystem(t, (&wild{trailer: 200 << 10}).invoke(t), "plugin_error")
}

// slow is a sink that takes nothing until it is let go on.
type slow struct {
	sink
	taken chan struct{} // closed when the first batch is there
	goOn  chan struct{}
	once  sync.Once
}

func (s *slow) Send(context.Context, sdk.Batch) error {
	s.once.Do(func() { close(s.taken) })
	<-s.goOn
	return nil
}

// What a host does not take stays in the plugin: the window of a stream holds one
// large batch, whatever the plugin would like to send.
//
// rows: K24, C56
func TestAPluginIsNotFarAheadOfTheHost(t *testing.T) {
	t.Parallel()
	const batches, size = 64, 128 << 10
	var sent atomic.Int64
	z := &zoo{process: func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		data := slices.Concat([]byte(`{"x":"`), bytes.Repeat([]byte("x"), size), []byte(`"}`))
		for range batches {
			if err := out.Send(ctx, sdk.Batch{Records: []sdk.Record{{Kind: "thing", ID: "1", Data: data}}}); err != nil {
				return sdk.Outcome{}, err
			}
			sent.Add(1)
		}
		return sdk.Outcome{}, nil
	}}
	i := opened(t, z)
	s := &slow{taken: make(chan struct{}), goOn: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		_, err := i.ProcessStream(t.Context(), sdk.StreamCall{}, sdk.NewEmitter(s))
		done <- err
	}()
	select {
	case <-s.taken:
	case err := <-done:
		require.FailNow(t, "the call ended before it began", "%v", err)
	}
	// The one that is taken, the window's two, and what is on its way.
	goOn := sync.OnceFunc(func() { close(s.goOn) })
	t.Cleanup(goOn)
	require.Never(t, func() bool { return sent.Load() > 8 }, 300*time.Millisecond, 10*time.Millisecond)
	goOn()
	require.NoError(t, <-done)
	require.Equal(t, int64(batches), sent.Load())
}
