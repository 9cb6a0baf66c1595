package plugin_test

import (
	"context"
	"crypto/rand"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// thief is a process that was made without the SDK: it asks of the host what a test
// tells it to, under any token.
type thief struct {
	wild
	tokens  chan []byte   // of the calls that it gets
	goOn    chan struct{} // ends them
	asks    chan *pluginv1.HostLinkResponse
	answers chan *pluginv1.HostLinkRequest
	forged  atomic.Int64 // asks that the host took for what they are
}

func (s *thief) Check(_ context.Context, req *pluginv1.CheckRequest) (*pluginv1.CheckResponse, error) {
	s.tokens <- req.GetCall().GetToken()
	<-s.goOn
	return &pluginv1.CheckResponse{}, nil
}

func (s *thief) HostLink(stream grpc.BidiStreamingServer[pluginv1.HostLinkRequest, pluginv1.HostLinkResponse]) error {
	for {
		select {
		case ask := <-s.asks:
			if err := stream.Send(ask); err != nil {
				return err
			}
			answer, err := stream.Recv()
			if err != nil {
				return err
			}
			s.answers <- answer
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// puts asks the host to keep a value under a token, and returns the code of the
// refusal; none if the host did it.
func (s *thief) puts(token []byte, value string) string {
	s.asks <- &pluginv1.HostLinkResponse{Id: 1, Token: token, Ask: &pluginv1.HostLinkResponse_CachePut{
		CachePut: &pluginv1.CachePut{Scope: "integration", Key: "k", Value: []byte(value)},
	}}
	return (<-s.answers).GetError().GetCode()
}

// steal serves a thief, and has the host call it in the name of h: until goOn is closed.
func steal(t *testing.T, h sdk.Host) (s *thief, called <-chan error) {
	t.Helper()
	s = &thief{
		tokens: make(chan []byte, 1), goOn: make(chan struct{}), asks: make(chan *pluginv1.HostLinkResponse), answers: make(chan *pluginv1.HostLinkRequest, 1),
	}
	wire, server := bufconn.Listen(1<<16), grpc.NewServer()
	pluginv1.RegisterPluginServiceServer(server, s)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(wire) }) // until Stop
	conn, err := grpc.NewClient("passthrough:///thief", append(plugin.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return wire.DialContext(ctx) }))...)
	require.NoError(t, err)
	client := plugin.NewClient(conn)
	client.OnForged(func() { s.forged.Add(1) })
	serving.Go(func() { _ = client.Link(t.Context()) }) // likewise
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
		require.NoError(t, conn.Close())
	})
	i, err := client.Open(t.Context(), sdk.Integration{})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- i.(sdk.Checker).Check(sdk.WithHost(t.Context(), h)) }()
	return s, done
}

// rows: P10, K19
//
// A process speaks for the calls that it has and for no others: the token of another
// process' call opens nothing, nor does one that it made up, or that of a call which
// has ended.
func TestAForgedTokenOpensNothing(t *testing.T) {
	t.Parallel()
	acme, umbrella := newHost(), newHost()
	victim, called := steal(t, acme)
	other, calledOther := steal(t, umbrella)
	token, own := <-victim.tokens, <-other.tokens
	require.Len(t, token, 16)
	require.NotEqual(t, token, own)

	require.Equal(t, "call_ended", other.puts(token, "stolen"))
	require.EqualValues(t, 1, other.forged.Load())
	made := make([]byte, 16)
	_, _ = rand.Read(made) // never fails
	for _, forged := range [][]byte{made, nil, {}, token[:15], append(token[:16:16], 0), make([]byte, 1<<10)} {
		require.Equal(t, "call_ended", other.puts(forged, "forged"))
	}
	require.EqualValues(t, 5, other.forged.Load(), "each but the two that name no call")
	require.Empty(t, acme.cache)
	require.Empty(t, umbrella.cache)

	require.Empty(t, other.puts(own, "its own"))
	require.Empty(t, victim.puts(token, "its own"))
	require.Equal(t, map[string][]byte{"integration/k": []byte("its own")}, acme.cache)
	require.Equal(t, map[string][]byte{"integration/k": []byte("its own")}, umbrella.cache)

	close(victim.goOn)
	close(other.goOn)
	require.NoError(t, <-called)
	require.NoError(t, <-calledOther)
	require.Equal(t, "call_ended", victim.puts(token, "too late"))
	require.Equal(t, []byte("its own"), acme.cache["integration/k"])
	require.Zero(t, victim.forged.Load(), "a call that has ended was its own")
}
