package plugin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// EgressEnv names the Unix socket of the host's proxy, by which a plugin's process
// reaches remote systems. Without it the process connects by itself.
const EgressEnv = "JACKFIELD_EGRESS"

const (
	// egressTimeout bounds a connection without a deadline of its own.
	egressTimeout = 30 * time.Second
	// maxRefusal bounds what the proxy says in the place of a connection.
	maxRefusal = 16 << 10
)

// DialContext connects to a remote system the way that the host wants: through its
// proxy, which resolves the name too, or directly if there is none. It is for what
// takes a function to dial with, such as the driver of a database or an
// http.Transport, and does TCP alone.
//
// What the host does not allow is an *sdk.Error of ClassConfig, with the code
// egress_host or egress_address: pass it on. A host that cannot be reached is one of
// ClassTransient.
func DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	socket := os.Getenv(EgressEnv)
	if socket == "" {
		return (&net.Dialer{Timeout: egressTimeout, KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
	}
	return dialThrough(ctx, socket, network, address)
}

// Transport returns a new http.Transport that connects with DialContext and takes no
// proxy from the environment. Serve makes http.DefaultTransport the same.
func Transport() *http.Transport {
	return &http.Transport{
		DialContext:           DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// routeDefault sends what uses http.DefaultTransport through the host's proxy. It
// changes the transport itself: who has kept it has it still.
func routeDefault() {
	if t, ok := http.DefaultTransport.(*http.Transport); ok && os.Getenv(EgressEnv) != "" {
		t.Proxy, t.DialContext = nil, DialContext
	}
}

// dialThrough asks the proxy at socket for a connection.
func dialThrough(ctx context.Context, socket, network, address string) (out net.Conn, err error) {
	if !slices.Contains([]string{"tcp", "tcp4", "tcp6"}, network) || strings.ContainsAny(address, " \r\n") {
		return nil, &sdk.Error{Class: sdk.ClassConfig, Code: "egress_request", Safe: true, Message: fmt.Sprintf("connect to %q by %s: the host's proxy does TCP to host:port alone (hint: the operator can let the plugin connect by itself)", address, network)}
	}
	ctx, cancel := context.WithTimeout(ctx, egressTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, &sdk.Error{Class: sdk.ClassTransient, Code: "egress_unreachable", Safe: true, Message: fmt.Sprintf("connect to %s: the host's proxy: %v", address, err), Cause: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			out = nil
			_ = conn.Close()
			if ctx.Err() != nil {
				err = fmt.Errorf("connect to %s: %w", address, context.Cause(ctx))
			}
		}
	}()
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address); err != nil {
		return nil, fmt.Errorf("connect to %s: ask the host's proxy: %w", address, err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: read the proxy's answer: %w", address, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(address, resp)
	}
	return &proxied{Conn: conn, in: in}, nil
}

// refusal is what the proxy said in the place of a connection.
func refusal(address string, resp *http.Response) error {
	defer resp.Body.Close() //nolint:errcheck // the connection is closed anyway
	var said struct {
		Code    string    `json:"code"`
		Class   sdk.Class `json:"class"`
		Message string    `json:"message"`
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err = errors.Join(err, json.Unmarshal(body, &said)); err != nil {
		return fmt.Errorf("connect to %s: the host's proxy answered %s", address, resp.Status)
	}
	return &sdk.Error{Class: said.Class, Code: said.Code, Message: said.Message, Safe: true}
}

// proxied is a connection of which some bytes may have been read already.
type proxied struct {
	net.Conn
	in *bufio.Reader
}

// Read implements net.Conn.
func (p *proxied) Read(b []byte) (int, error) { return p.in.Read(b) }

// CloseWrite says that nothing more comes from here.
func (p *proxied) CloseWrite() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
