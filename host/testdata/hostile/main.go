// Command hostile is a plugin made without the SDK. It says well what it is; what a call
// of the kind that an integration's settings name gets, in "at", is whatever breaks a
// host: not protobuf, too large, out of place, out of range, or nothing. The other calls
// are answered as they should be. Named with .unwell it does not answer health checks.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	hcplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec of all that is no raw message
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk/plugin"
)

func main() {
	h := &hostile{handles: map[string]settings{}, asks: make(chan raw, 64)}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // the host is gone
	}()
	unwell := strings.HasSuffix(filepath.Base(os.Args[0]), ".unwell")
	hcplugin.Serve(&hcplugin.ServeConfig{
		HandshakeConfig:  plugin.Handshake(),
		VersionedPlugins: map[int]hcplugin.PluginSet{plugin.Protocol: {plugin.Name: bare{}}},
		Logger:           hclog.NewNullLogger(),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts,
				grpc.ForceServerCodecV2(codec{}), grpc.UnknownServiceHandler(h.handle),
				grpc.MaxSendMsgSize(1<<30), grpc.ChainUnaryInterceptor(health(unwell)),
			)...)
		},
	})
}

// bare registers nothing: every call of the service is unknown, and so the handler's.
type bare struct {
	hcplugin.NetRPCUnsupportedPlugin
}

// GRPCServer implements hcplugin.GRPCPlugin.
func (bare) GRPCServer(*hcplugin.GRPCBroker, *grpc.Server) error { return nil }

// GRPCClient implements hcplugin.GRPCPlugin.
func (bare) GRPCClient(context.Context, *hcplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is no host")
}

func health(unwell bool) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if unwell && strings.HasPrefix(info.FullMethod, "/grpc.health.v1.Health/") {
			return nil, status.Error(codes.Unimplemented, "never heard of it")
		}
		return next(ctx, req)
	}
}

// raw is a message as it crosses the wire, whether it is one or not.
type raw []byte

// codec passes raw messages on as they are.
type codec struct{}

// Name implements encoding.CodecV2.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	if r, ok := v.(raw); ok {
		return mem.BufferSlice{mem.SliceBuffer(r)}, nil
	}
	return encoding.GetCodecV2("proto").Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	if r, ok := v.(*raw); ok {
		*r = data.Materialize()
		return nil
	}
	return encoding.GetCodecV2("proto").Unmarshal(data, v)
}

// settings of an integration.
type settings struct {
	At      string `json:"at"`      // the method whose calls are answered badly
	Streams int    `json:"streams"` // of a run
	Seed    uint64 `json:"seed"`
}

type hostile struct {
	replies atomic.Uint64 // that no good plugin makes
	linking sync.Mutex    // one link at a time
	asks    chan raw      // over the link

	mu      sync.Mutex // guards handles
	handles map[string]settings
}

// handle answers a call of any method.
func (h *hostile) handle(_ any, stream grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(stream)
	method, ok := strings.CutPrefix(full, "/jackfield.plugin.v1.PluginService/")
	if !ok {
		return status.Error(codes.Unimplemented, full)
	}
	if method == "HostLink" {
		return h.link(stream)
	}
	var req raw
	if err := stream.RecvMsg(&req); err != nil {
		return err
	}
	var call pluginv1.CheckRequest // every request has its call there
	_ = proto.Unmarshal(req, &call)
	h.mu.Lock()
	s, known := h.handles[call.GetCall().GetHandle()]
	h.mu.Unlock()
	if known && s.At == method {
		n := h.replies.Add(1)
		if n%50 == 0 {
			fmt.Fprintf(os.Stderr, `{"@level":"info","@message":"hostile replies","@timestamp":"","count":%d}`+"\n", n)
		}
		return newReply(s.Seed+n, stream, call.GetCall().GetToken(), h.asks).send(method)
	}
	return h.honest(method, s, req, stream)
}

// link serves the host link, over which calls ask for what they should not.
func (h *hostile) link(stream grpc.ServerStream) error {
	h.linking.Lock()
	defer h.linking.Unlock()
	var answers sync.WaitGroup
	answers.Go(func() {
		for {
			var answer raw
			if stream.RecvMsg(&answer) != nil {
				return
			}
		}
	})
	defer answers.Wait()
	for {
		select {
		case ask := <-h.asks:
			if err := stream.SendMsg(ask); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return nil
		}
	}
}

// honest answers as a plugin should.
func (h *hostile) honest(method string, s settings, req raw, stream grpc.ServerStream) error {
	send := func(messages ...proto.Message) error {
		for _, m := range messages {
			if err := stream.SendMsg(m); err != nil {
				return err
			}
		}
		return nil
	}
	switch method {
	case "Describe":
		return send(&pluginv1.DescribeResponse{Manifest: manifest()})
	case "Open":
		handle, err := h.open(req)
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		return send(&pluginv1.OpenResponse{Handle: handle})
	case "GetStreams":
		for n := range s.Streams {
			id := fmt.Sprintf("s%05d", n)
			batch := &pluginv1.Batch{Streams: []*pluginv1.Stream{{Id: id, Connector: "things", Partition: id}}}
			if err := send(&pluginv1.GetStreamsResponse{Part: &pluginv1.GetStreamsResponse_Batch{Batch: batch}}); err != nil {
				return err
			}
		}
		return nil
	case "ProcessStream":
		outcome := &pluginv1.Outcome{}
		if s.At == "IsProcessingFinished" {
			outcome.NextPage = []byte("next")
		}
		return send(&pluginv1.ProcessStreamResponse{Part: &pluginv1.ProcessStreamResponse_Outcome{Outcome: outcome}})
	case "IsProcessingFinished":
		return send(&pluginv1.IsProcessingFinishedResponse{Finished: true})
	default:
		return send(&pluginv1.CheckResponse{}) // an empty message, whatever its name
	}
}

func (h *hostile) open(req raw) (string, error) {
	var open pluginv1.OpenRequest
	if err := proto.Unmarshal(req, &open); err != nil {
		return "", err
	}
	var s settings
	if err := json.Unmarshal(open.GetSettings(), &s); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	handle := fmt.Sprintf("%s/%d", open.GetIntegrationId(), open.GetRevision())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handles[handle] = s
	return handle, nil
}

func manifest() *pluginv1.Manifest {
	return &pluginv1.Manifest{
		Name: "hostile", Label: "Hostile", Version: "1.0.0", Kind: "combined",
		Connectors:   []*pluginv1.Connector{{Name: "things", Label: "Things", Force: true}},
		Capabilities: []string{"check", "preprocess", "create_attributes", "allow", "finish", "postprocess", "invoke"},
		Hooks:        []string{"any"}, Concurrency: 16, ConcurrencyPerRun: 8, Every: -1,
	}
}
