// Bare is the least that go-plugin can serve: one unary call that returns what it
// is given. The figures compare a plugin on our SDK with it.
package main

import (
	"context"
	"errors"

	hcplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	hcplugin.Serve(&hcplugin.ServeConfig{
		HandshakeConfig: hcplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "BARE", MagicCookieValue: "bare"},
		Plugins:         hcplugin.PluginSet{"bare": echoPlugin{}},
		GRPCServer:      hcplugin.DefaultGRPCServer,
	})
}

type echoPlugin struct {
	hcplugin.NetRPCUnsupportedPlugin
}

// GRPCServer implements hcplugin.GRPCPlugin.
func (echoPlugin) GRPCServer(_ *hcplugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bare.Bare",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: echo}},
	}, struct{}{})
	return nil
}

// GRPCClient implements hcplugin.GRPCPlugin.
func (echoPlugin) GRPCClient(context.Context, *hcplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("bare is a server only")
}

func echo(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // grpc's order of arguments
	in := new(wrapperspb.BytesValue)
	return in, decode(in)
}
