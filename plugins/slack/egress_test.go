package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// gate is the host's way out: it connects to whatever it is asked for, or says what
// it is told to.
func gate(t *testing.T, refusal string) (socket string, asked <-chan string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "egress")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	targets := make(chan string, 1024)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close() //nolint:errcheck // a test's
				in := bufio.NewReader(conn)
				req, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				targets <- req.Host
				if refusal != "" {
					_, _ = fmt.Fprintf(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s", len(refusal), refusal)
					return
				}
				remote, err := new(net.Dialer).DialContext(context.Background(), "tcp", req.Host)
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
				all.Go(func() {
					_, _ = io.Copy(conn, remote)
					_ = conn.Close()
				})
				_, _ = io.Copy(remote, in)
				_ = remote.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return socket, targets
}

// rows: P09
func TestASyncGoesTheWayOfTheHost(t *testing.T) { //nolint:paralleltest // the environment is the process's
	f := acme(t)
	socket, asked := gate(t, "")
	t.Setenv(plugin.EgressEnv, socket)
	h := newTestHost(t, f, nil)
	t.Cleanup(func() { _ = h.inst.(sdk.Closer).Close() }) // before the gate is closed
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	require.NotEmpty(t, h.members)
	require.NotEmpty(t, h.activities)
	require.Contains(t, f.url(), <-asked)
}

// rows: P09
func TestAHostThatIsNotAllowedEndsTheRun(t *testing.T) { //nolint:paralleltest // the environment is the process's
	f := newFake(t)
	socket, _ := gate(t, `{"code":"egress_address","class":"config","message":"plugin slack may not connect"}`)
	t.Setenv(plugin.EgressEnv, socket)
	err := newTestHost(t, f, nil).inst.(sdk.Checker).Check(t.Context())
	e := sdk.AsError(err)
	require.Equal(t, sdk.ClassConfig, e.Class)
	require.Equal(t, "egress_address", e.Code)
	require.True(t, e.AbortRun)
	require.Contains(t, e.Message, "plugin slack may not connect")
}
