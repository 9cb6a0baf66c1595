package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/jackfield/jackfield/host/internal/api"
)

// daemon is a connection to the daemon. It is made by the first call.
type daemon struct {
	*grpc.ClientConn
	address string
	start   string                // the command that starts it
	dialErr atomic.Pointer[error] // of the newest try
}

// withDaemon connects to the daemon, lets do work with it, and turns what comes
// back into an error for people.
func (c *cli) withDaemon(ctx context.Context, do func(context.Context, *daemon) error) error {
	d, err := c.dial()
	if err != nil {
		return err
	}
	err = d.explain(do(ctx, d))
	if closeErr := d.Close(); err == nil && closeErr != nil {
		err = failed(fmt.Errorf("close connection: %w", closeErr), "")
	}
	return err
}

func (c *cli) dial() (*daemon, error) {
	network, address, err := c.findDaemon()
	if err != nil {
		return nil, err
	}
	security, authority, err := c.security()
	if err != nil {
		return nil, err
	}
	t, err := c.findToken(network, address)
	if err != nil {
		return nil, err
	}
	d := &daemon{address: address, start: c.command("serve")}
	dialer := func(ctx context.Context, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
		d.dialErr.Store(&err)
		return conn, err
	}
	d.ClientConn, err = grpc.NewClient("passthrough:///jackfield",
		grpc.WithContextDialer(dialer),
		grpc.WithTransportCredentials(security),
		grpc.WithAuthority(authority),
		grpc.WithPerRPCCredentials(t),
		grpc.WithChainUnaryInterceptor(c.bounded),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	)
	if err != nil {
		return nil, failed(fmt.Errorf("connect to %s: %w", address, err), "")
	}
	return d, nil
}

// maxMessage bounds an answer of the daemon: 1,000 records of a page.
const maxMessage = 64 << 20

// bounded gives every call that has one answer its deadline.
func (c *cli) bounded(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return invoke(ctx, method, req, reply, conn, opts...)
}

// findDaemon returns where the daemon listens: --address, or the data directory
// of host.yaml.
func (c *cli) findDaemon() (network, address string, err error) {
	if c.address == "" {
		data, err := c.dataDir()
		return "unix", filepath.Join(data, api.SocketName), err
	}
	if strings.Contains(c.address, "://") && !strings.HasPrefix(c.address, "unix:") {
		address, err := c.findURL()
		return "tcp", address, err
	}
	if path, ok := strings.CutPrefix(c.address, "unix:"); ok {
		return "unix", strings.TrimPrefix(path, "//"), nil
	}
	host, _, err := net.SplitHostPort(c.address)
	if err != nil || strings.ContainsRune(c.address, filepath.Separator) {
		return "unix", c.address, nil //nolint:nilerr // what is no host:port is a path
	}
	if !loopback(host) {
		return "", "", usageError(fmt.Errorf("%s: the token would cross the network in clear", c.address),
			"say https://"+c.address+" if it serves TLS, or use a tunnel: ssh -L 127.0.0.1:7481:DATA/"+api.SocketName+" HOST, then --address 127.0.0.1:7481")
	}
	return "tcp", c.address, nil
}

// findToken returns what proves that the caller may call: JACKFIELD_TOKEN, or the
// file beside the socket.
func (c *cli) findToken(network, address string) (token, error) {
	if text := c.getenv("JACKFIELD_TOKEN"); text != "" {
		return token{text: text}, nil
	}
	if network != "unix" {
		return token{}, &exitError{code: exitDenied, err: errors.New("no token for " + address), hint: "set JACKFIELD_TOKEN"}
	}
	t := token{path: filepath.Join(filepath.Dir(address), api.TokenName)}
	_, err := t.read()
	switch {
	case errors.Is(err, os.ErrNotExist):
		return token{}, environmentError(errors.New("no daemon at "+address), "start it: "+c.command("serve"))
	case errors.Is(err, os.ErrPermission):
		return token{}, &exitError{code: exitDenied, err: fmt.Errorf("read token: %w", err), hint: "run this as the daemon's user, or set JACKFIELD_TOKEN"}
	case err != nil:
		return token{}, environmentError(fmt.Errorf("read token: %w", err), "")
	}
	return t, nil
}

// explain says in a person's words what a call came back with.
func (d *daemon) explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*exitError](err); ok {
		return err
	}
	if dial := d.dialErr.Load(); status.Code(err) == codes.Unavailable && dial != nil && *dial != nil {
		return d.explainDial(*dial)
	}
	return remoteError(err)
}

func (d *daemon) explainDial(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return environmentError(errors.New("no daemon at "+d.address), "start it: "+d.start)
	case errors.Is(err, os.ErrPermission):
		return &exitError{code: exitDenied, err: errors.New("no permission to use " + d.address), hint: "run this as the daemon's user"}
	default:
		return environmentError(fmt.Errorf("connect to %s: %w", d.address, err), "")
	}
}

// token goes with each call. One from a file is read anew for each, since every
// start of the daemon makes another.
type token struct {
	text string
	path string
}

func (t token) read() (string, error) {
	if t.path == "" {
		return t.text, nil
	}
	text, err := os.ReadFile(t.path)
	return strings.TrimSpace(string(text)), err
}

// GetRequestMetadata returns the header.
func (t token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	text, err := t.read()
	if err != nil { // there was one: the daemon is away
		return nil, status.Error(codes.Unavailable, "the daemon does not run")
	}
	return map[string]string{"authorization": "Bearer " + text}, nil
}

// RequireTransportSecurity allows a Unix socket.
func (token) RequireTransportSecurity() bool { return false }
