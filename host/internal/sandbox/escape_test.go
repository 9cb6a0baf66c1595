//go:build linux && (amd64 || arm64)

package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// site is what a plugin is kept from, and what it has.
type site struct {
	dir, own, other, granted string
	hidden                   []string
}

// newSite makes the files of a host below one folder, as an operator has them.
func newSite(t *testing.T) site {
	t.Helper()
	s := site{dir: t.TempDir()}
	s.own, s.other = filepath.Join(s.dir, "data/run/a/1"), filepath.Join(s.dir, "data/run/a/2")
	s.granted = filepath.Join(s.dir, "clone")
	for _, dir := range []string{s.own, s.other, s.granted, filepath.Join(s.dir, "data/cas")} {
		require.NoError(t, os.MkdirAll(dir, 0o700))
	}
	for _, name := range []string{"host.yaml", "jackfield.key", "data/jackfield.db", "data/admin.token", "data/run/a/2/token", "clone/file"} {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte("x"), 0o600))
	}
	for _, name := range []string{"host.yaml", "jackfield.key", "data"} {
		s.hidden = append(s.hidden, filepath.Join(s.dir, name))
	}
	return s
}

func (s site) path(name string) string { return filepath.Join(s.dir, name) }

// listen answers the address of something that listens until the test ends.
func listen(t *testing.T, network, address string) string {
	t.Helper()
	if network == "udp" {
		conn, err := net.ListenPacket(network, address) //nolint:noctx // it does not wait
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		return network + " " + conn.LocalAddr().String()
	}
	l, err := net.Listen(network, address) //nolint:noctx // it does not wait
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, conn) // until the other end is gone
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-done
	})
	return network + " " + l.Addr().String()
}

// rows: P04, P08, P09, K20, L02
func TestEscapesAreDenied(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	box := whole(t, Options{})
	process := victim(t, nil)
	abstract := fmt.Sprintf("@jackfield-test-%s", filepath.Base(s.dir))
	escapes := []attempt{
		{"read host.yaml", "read", s.path("host.yaml")},
		{"read the database", "read", s.path("data/jackfield.db")},
		{"read the key", "read", s.path("jackfield.key")},
		{"read the token of the API", "read", s.path("data/admin.token")},
		{"read what another plugin has", "read", s.path("data/run/a/2/token")},
		{"list what another plugin has", "list", s.other},
		{"read the environment of the host", "environ", process},
		{"plant a program in the store of programs", "plant", s.path("data/cas")},
		{"change a file of the host", "empty", s.path("host.yaml")},
		{"change what it may read", "plant", s.granted},
		{"signal the host", "signal", process},
		{"trace the host", "trace", process},
		{"read the memory of the host", "peek", process},
		{"slow the host down", "slow", process},
		{"ask for the limits of the host", "starve", process},
		{"execute a shell", "execute", "/bin/sh"},
		{"become a shell", "become", "/bin/sh"},
		{"make a process", "fork", ""},
		{"raise its limits", "raise", ""},
		{"write a core", "core", ""},
		{"mount a file system", "mount", s.granted},
		{"leave the file system", "namespace", ""},
		{"make system calls that nobody sees", "ring", ""},
		{"connect by TCP", "dial", listen(t, "tcp", "127.0.0.1:0")},
		{"send by UDP", "dial", listen(t, "udp", "127.0.0.1:0")},
		{"connect by MPTCP", "mptcp", ""},
		{"make a raw socket", "raw", ""},
		{"connect to an abstract socket", "dial", listen(t, "unix", abstract)},
	}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil { //nolint:noctx // it does not wait
		require.NoError(t, l.Close())
		escapes = append(escapes, attempt{"connect by TCP of IPv6", "dial", listen(t, "tcp", "[::1]:0")})
	}
	got := outcome(t, box, Policy{Dir: s.own, Network: NetworkProxy, Reads: []string{s.granted}, Hidden: s.hidden, Memory: 1 << 30}, escapes...)
	for _, a := range escapes {
		require.NotEmpty(t, got[a.Name], "it was not kept from it: %s", a.Name)
	}

	// Without a sandbox the same program does it all, so the attempts are good ones.
	control := outcome(t, nil, Policy{}, slicesWithout(escapes, "become a shell")...)
	for name, failed := range control {
		if c, known := privileged()[name]; known && !hasCap(t, c) {
			continue
		}
		if name == "connect by MPTCP" && strings.Contains(failed, "not supported") || name == "make system calls that nobody sees" && failed == unix.EPERM.Error() {
			continue // nor can anybody here
		}
		require.Empty(t, failed, name)
	}
}

// privileged names the attempts that want a capability even without a sandbox.
func privileged() map[string]uint {
	return map[string]uint{
		"trace the host": unix.CAP_SYS_PTRACE, "read the memory of the host": unix.CAP_SYS_PTRACE, "raise its limits": unix.CAP_SYS_RESOURCE,
		"write a core": unix.CAP_SYS_RESOURCE, "mount a file system": unix.CAP_SYS_ADMIN, "leave the file system": unix.CAP_SYS_ADMIN,
		"make a raw socket": unix.CAP_NET_RAW,
	}
}

func hasCap(t *testing.T, c uint) bool {
	t.Helper()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	require.NoError(t, unix.Capget(&head, &data[0]))
	return data[c/32].Effective&(1<<(c%32)) != 0
}

// slicesWithout returns the attempts but one.
func slicesWithout(of []attempt, name string) (out []attempt) {
	for _, a := range of {
		if a.Name != name {
			out = append(out, a)
		}
	}
	return out
}

// rows: P04
func TestWhatIsGrantedWorks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	box := whole(t, Options{})
	socket := listen(t, "unix", filepath.Join(s.own, "s"))
	for name, network := range map[string]Network{"Proxy": NetworkProxy, "Direct": NetworkDirect} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			allowed := []attempt{
				{"read itself", "read", os.Getenv(programVariable)},
				{"read what it was granted", "read", s.path("clone/file")},
				{"list what it was granted", "list", s.granted},
				{"write its own files", "plant", s.own},
				{"reach the socket of its proxy", "dial", socket},
				{"find certificates", "list", "/etc/ssl/certs"},
			}
			if network == NetworkDirect {
				allowed = append(allowed, attempt{"connect", "dial", listen(t, "tcp", "127.0.0.1:0")}, attempt{"send", "dial", listen(t, "udp", "127.0.0.1:0")})
			}
			if _, err := os.Stat("/etc/ssl/certs"); err != nil {
				allowed = slicesWithout(allowed, "find certificates")
			}
			for name, failed := range outcome(t, box, Policy{Dir: s.own, Network: network, Reads: []string{s.granted}, Hidden: s.hidden}, allowed...) {
				require.Empty(t, failed, name)
			}
		})
	}
}

// A folder that is granted may hold what is the host's: the rest of it is granted.
//
// rows: P04
func TestAGrantLeavesOutWhatIsTheHosts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	box := whole(t, Options{})
	got := outcome(t, box, Policy{Dir: s.own, Reads: []string{s.dir, s.path("data/jackfield.db")}, Hidden: s.hidden},
		attempt{"granted", "read", s.path("clone/file")}, attempt{"names", "list", s.dir},
		attempt{"database", "read", s.path("data/jackfield.db")}, attempt{"configuration", "read", s.path("host.yaml")},
		attempt{"key", "read", s.path("jackfield.key")}, attempt{"token", "read", s.path("data/admin.token")})
	for _, name := range []string{"granted", "names"} {
		require.Empty(t, got[name], name)
	}
	for _, name := range []string{"database", "configuration", "key", "token"} {
		require.Contains(t, got[name], "permission denied", name)
	}

	// What is hidden may come to be after the process was started.
	tenants := s.path("tenants")
	require.NoError(t, os.Mkdir(tenants, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(tenants, "export.csv"), []byte("x"), 0o600))
	p := Policy{Dir: s.own, Reads: []string{tenants}, Hidden: []string{filepath.Join(tenants, "*"), filepath.Join(tenants, "later.yaml")}}
	require.Empty(t, outcome(t, box, p, attempt{"beside", "read", filepath.Join(tenants, "export.csv")})["beside"])
	cmd := command(t, attempt{"wait", "wait", ""}, attempt{"later", "read", filepath.Join(tenants, "later.yaml")})
	lifeline, err := cmd.StdinPipe()
	require.NoError(t, err)
	var said bytes.Buffer
	cmd.Stdout = &said
	cell := start(t, box, cmd, p)
	require.NoError(t, os.WriteFile(filepath.Join(tenants, "later.yaml"), []byte("x"), 0o600))
	require.NoError(t, lifeline.Close())
	require.NoError(t, cmd.Wait())
	cell.Close()
	require.Contains(t, said.String(), "later.yaml: permission denied")

	// A link that leads to what is the host's is none to what was granted.
	require.NoError(t, os.Symlink(s.path("data"), s.path("link")))
	got = outcome(t, box, Policy{Dir: s.own, Reads: []string{s.path("link"), s.granted}, Hidden: s.hidden},
		attempt{"link", "read", s.path("link/jackfield.db")})
	require.Contains(t, got["link"], "permission denied")
}
