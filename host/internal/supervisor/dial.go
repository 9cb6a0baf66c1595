package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"

	"github.com/jackfield/jackfield/sdk/plugin"
)

// dialOptions are the protocol's, and those of who wants to know of calls. The dialer
// takes the place of go-plugin's.
func (s *Supervisor) dialOptions(x *execution) []grpc.DialOption {
	opts := append(plugin.DialOptions(), grpc.WithContextDialer(x.dial))
	if s.opts.OnCall != nil || s.opts.Trace != nil {
		opts = append(opts, grpc.WithStatsHandler(&calls{plugin: x.name, told: s.opts.OnCall, trace: s.opts.Trace}))
	}
	return opts
}

// dial connects to the socket of the handshake, in the place of go-plugin's dialer. The
// name was checked when the handshake came; what it leads to now, and who listens there,
// is checked again.
func (x *execution) dial(ctx context.Context, _ string) (net.Conn, error) {
	x.mu.Lock()
	address, known := x.address, x.shook && x.bad == nil
	x.mu.Unlock()
	if !known {
		return nil, errors.New("there was no handshake")
	}
	path, done, err := pinSocket(address)
	if err != nil {
		return nil, err
	}
	defer done()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if err := listens(conn, x.pid()); err != nil {
		_ = conn.Close() // nothing was sent
		return nil, err
	}
	return conn, nil
}
