//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/store"
)

// limited has the site's daemon run with few open files, of which it finds some
// taken.
func (s *site) limited(files, taken int) {
	s.t.Helper()
	_, err := exec.LookPath("bash")
	if err != nil {
		s.t.Skipf("this test sets a limit by a shell: %v", err)
	}
	bin := s.t.TempDir()
	script := fmt.Sprintf("#!/usr/bin/env bash\nulimit -n %d\nfor ((i = 0; i < %d; i++)); do eval \"exec $((i + 20))</dev/null\"; done\nexec %s/jackfield \"$@\"\n", files, taken, s.bin)
	require.NoError(s.t, os.WriteFile(filepath.Join(bin, "jackfield"), []byte(script), 0o700))
	s.bin = bin
}

// descriptors returns how many files the daemon has open.
func (d *daemonProcess) descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	require.NoError(t, err)
	return len(names)
}

// rows: F28
//
// Three hundred connections meet a daemon that may have 256 files open: it takes a
// quarter of that, refuses by name, goes on with its work, and serves again when
// they are gone.
func TestACrowdAtTheSocketLeavesFilesForTheWork(t *testing.T) {
	t.Parallel()
	const limit = 256
	s := newSite(t, map[string]any{"streams": 4, "pages": 1, "records": 400, "segment": 4, "pause_ms": 5})
	s.limited(limit, 0)
	d := s.start()
	s.ready()
	s.started()
	var crowd []net.Conn
	come := func(n int) {
		for range n {
			conn, err := new(net.Dialer).DialContext(t.Context(), "unix", filepath.Join(s.dir, "data", api.SocketName))
			require.NoError(t, err)
			crowd = append(crowd, conn)
		}
	}
	come(limit / apiShare * 9 / 10)
	s.until("the crowd is refused", func() bool {
		out, err := s.try("tenant", "list")
		if err == nil {
			return false
		}
		require.Contains(t, out, "of 64 connections to the API are taken")
		require.Contains(t, out, "hint: end what holds them")
		return true
	})
	st := s.status()
	require.Equal(t, "degraded", st.State)
	require.Contains(t, st.Reasons[0], "of 64 connections to the API are taken")
	come(300 - len(crowd))
	s.until("no place is left", func() bool { return d.descriptors(t) > limit/apiShare })
	require.Less(t, d.descriptors(t), limit/5*4)
	for _, conn := range crowd {
		require.NoError(t, conn.Close())
	}
	s.await(store.RunProcessed)
	require.Equal(t, "ok", s.status().State)
	require.NotContains(t, d.log.String(), "too many open files")
	for _, stream := range s.streams(s.run().ID) {
		require.Zero(t, stream.Attempts, stream.Identifier)
		require.Zero(t, stream.Interrupts, stream.Identifier)
	}
	d.stop(t)
	require.Equal(t, expected(4, 400), s.contents())
}

// rows: F28
//
// A daemon with few files left starts no process, and says why; one that could not
// work with its limit does not start.
func TestNoProcessIsStartedWithTheLastFiles(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	bin := s.bin
	s.limited(200, 145)
	d := s.start()
	s.ready()
	s.until("the plugin is refused", func() bool {
		list := s.plugins()
		return len(list) == 1 && list[0].State == "backoff"
	})
	require.Contains(t, s.plugins()[0].Reason, "of the 200 open files that the system grants it")
	st := s.status()
	require.Equal(t, "degraded", st.State)
	require.Contains(t, st.Reasons[0], "no process can be started: the daemon has ")
	require.Contains(t, st.Reasons[0], "hint: raise the limit: ulimit -n 4096")
	d.stop(t)

	s.bin = bin
	s.limited(100, 0)
	code, out := s.exec("serve")
	require.Equal(t, exitEnvironment, code)
	require.Contains(t, out, "the system grants this process 100 open files; the daemon needs 128")
	require.Contains(t, out, "hint: raise the limit")

	s.bin = bin
	d = s.start()
	s.await(store.RunProcessed)
	d.stop(t)
	require.Equal(t, expected(1, 5), s.contents())
}
