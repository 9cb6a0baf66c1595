package plugin

import (
	"context"

	hcplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// Name is the name under which go-plugin dispenses the plugin of a process.
const Name = "plugin"

// Protocol is the version of jackfield.plugin that this package speaks.
const Protocol = 1

// healthService is what go-plugin calls itself at grpc.health.v1.
const healthService = hcplugin.GRPCServiceName

// Handshake tells a plugin's process that a host started it. It protects
// nothing: it lets a person who starts a plugin read what it is.
func Handshake() hcplugin.HandshakeConfig {
	return hcplugin.HandshakeConfig{MagicCookieKey: "JACKFIELD_PLUGIN", MagicCookieValue: "jackfield.plugin.v1"}
}

// Plugins returns what the host can dispense, by version of the protocol. What
// it dispenses is a *Client.
func Plugins() map[int]hcplugin.PluginSet {
	return map[int]hcplugin.PluginSet{Protocol: {Name: &GRPCPlugin{}}}
}

// DialOptions returns what the host dials a plugin with: messages of 4 MiB both
// ways, headers of 128 KiB, and windows of a fixed size (K24).
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(sdk.MaxMessage), grpc.MaxCallSendMsgSize(sdk.MaxMessage)),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
	}
}

// GRPCPlugin joins both sides to go-plugin.
type GRPCPlugin struct {
	hcplugin.NetRPCUnsupportedPlugin
	server *server // of the plugin's process; nil in the host
}

var _ hcplugin.GRPCPlugin = (*GRPCPlugin)(nil)

// GRPCServer registers the plugin's side.
func (g *GRPCPlugin) GRPCServer(_ *hcplugin.GRPCBroker, s *grpc.Server) error {
	pluginv1.RegisterPluginServiceServer(s, g.server)
	return nil
}

// GRPCClient returns a *Client of conn.
func (g *GRPCPlugin) GRPCClient(_ context.Context, _ *hcplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return NewClient(conn), nil
}
