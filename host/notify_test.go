package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

// supervisorSocket is a socket such as systemd has for a service, and what comes to
// it.
func supervisorSocket(t *testing.T, name string) (next func() string) {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return func() string {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		require.NoError(t, err)
		return string(buf[:n])
	}
}

// shortTemp is a directory whose path is short enough for a socket.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jf") //nolint:usetesting // short enough for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// rows: F29
func TestTheDaemonTellsItsSupervisor(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	socket := filepath.Join(shortTemp(t), "notify")
	next := supervisorSocket(t, socket)
	s.env = []string{"NOTIFY_SOCKET=" + socket}
	d := s.start()
	require.Equal(t, notifyReady, next())
	out, err := s.try("status")
	require.NoError(t, err, "it was ready: %s", out)
	d.stop(t)
	require.Equal(t, notifyStopping, next())
}

func TestAnnounce(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(shortTemp(t), "notify")
	next := supervisorSocket(t, socket)
	log := hclog.NewNullLogger()
	ready := make(chan struct{})

	announce(t.Context(), socket, ready, log)() // a start that failed says nothing
	announce(t.Context(), "", ready, log)()
	announce(t.Context(), socket+"-nobody", ready, log)()
	ctx, cancel := context.WithCancel(t.Context())
	end := announce(ctx, socket, ready, log)
	close(ready)
	require.Equal(t, notifyReady, next())
	cancel()
	require.Equal(t, notifyStopping, next())
	end()

	if runtime.GOOS == "linux" {
		name := "@jackfield-test-" + filepath.Base(filepath.Dir(socket))
		next := supervisorSocket(t, name)
		require.NoError(t, notify(t.Context(), name, "READY=1"))
		require.Equal(t, "READY=1", next())
	}
}

// The unit gives the daemon the time that its stop takes, and stops it alone.
//
// rows: H28
func TestTheUnitFitsTheDaemon(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("jackfield.service")
	require.NoError(t, err)
	said := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(string(raw), -1) {
		said[m[1]] = m[2]
	}
	for key, want := range map[string]string{"Type": "notify", "KillMode": "mixed", "Delegate": "yes", "UMask": "0077", "StateDirectoryMode": "0700"} {
		require.Equal(t, want, said[key], key)
	}
	stop, err := time.ParseDuration(said["TimeoutStopSec"] + "s")
	require.NoError(t, err)
	const longestStop = 25*time.Second + 20*time.Second // of streams, then of plugins
	require.Greater(t, stop, longestStop)
}
