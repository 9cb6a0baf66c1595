// Next is a plugin of a later version of the protocol, for the tests of the host: one
// whose service has another name. It answers hooks, and nothing else. With a mark at its
// end it speaks version 9 alone, which no host knows.
package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"

	hcplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk/plugin"
)

func main() {
	speaks := 2
	if marked() {
		speaks = 9
	}
	hcplugin.Serve(&hcplugin.ServeConfig{
		HandshakeConfig:  plugin.Handshake(),
		VersionedPlugins: map[int]hcplugin.PluginSet{speaks: {plugin.Name: &wire{name: filepath.Base(os.Args[0])}}},
		GRPCServer:       hcplugin.DefaultGRPCServer,
	})
}

// marked reports whether a test wrote a mark behind the program.
func marked() bool {
	program, err := os.ReadFile("/proc/self/exe") // where it stands only the daemon's user may come to
	if err != nil {
		path, _ := os.Executable()
		program, err = os.ReadFile(path) //nolint:gosec // its own
	}
	return err == nil && bytes.HasSuffix(program, []byte("\n--speaks:9"))
}

// wire registers the service under the name that it has in version 2.
type wire struct {
	hcplugin.NetRPCUnsupportedPlugin
	name string
}

// GRPCServer implements plugin.GRPCPlugin.
func (w *wire) GRPCServer(_ *hcplugin.GRPCBroker, s *grpc.Server) error {
	service := pluginv1.PluginService_ServiceDesc
	service.ServiceName = "jackfield.plugin.v2.PluginService"
	s.RegisterService(&service, &server{name: w.name})
	return nil
}

// GRPCClient implements plugin.GRPCPlugin; it is of the host's side.
func (*wire) GRPCClient(context.Context, *hcplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return struct{}{}, nil
}

type server struct {
	pluginv1.UnimplementedPluginServiceServer
	name string
}

func (s *server) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	return &pluginv1.DescribeResponse{Manifest: &pluginv1.Manifest{
		Name: s.name, Label: "Next", Version: "1.0.0", Kind: "operation", SettingsSchema: []byte(`{"type":"object"}`),
		Capabilities: []string{"invoke"}, Hooks: []string{"echo"}, Every: -1,
	}}, nil
}

func (*server) Open(context.Context, *pluginv1.OpenRequest) (*pluginv1.OpenResponse, error) {
	return &pluginv1.OpenResponse{Handle: "only"}, nil
}

func (*server) Close(context.Context, *pluginv1.CloseRequest) (*pluginv1.CloseResponse, error) {
	return &pluginv1.CloseResponse{}, nil
}

func (*server) Invoke(_ context.Context, req *pluginv1.InvokeRequest) (*pluginv1.InvokeResponse, error) {
	return &pluginv1.InvokeResponse{Payload: req.GetPayload()}, nil
}

// HostLink stays open as long as the host does; this plugin asks it nothing.
func (*server) HostLink(stream grpc.BidiStreamingServer[pluginv1.HostLinkRequest, pluginv1.HostLinkResponse]) error {
	<-stream.Context().Done()
	return nil
}
