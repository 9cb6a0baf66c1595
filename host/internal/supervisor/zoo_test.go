//go:build linux

package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: H06, H10, H25, P05, F08
func TestStartFailuresSayWhatHappened(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Options)
		want   []string
	}{
		"exit":   {want: []string{"start plugin zoo-exit: exited with code 3 before the handshake", "boom: missing SLACK_TOKEN"}},
		"chatty": {want: []string{"exited with code 2 before the handshake", `it printed "usage: chatty [flags]"`, "hint: a plugin prints nothing"}},
		"panics": {want: []string{"exited with code 2 before the handshake", "panic: no configuration"}},
		"hang": {
			change: func(o *Options) { o.StartTimeout = time.Second },
			want:   []string{"no handshake within 1s", "hint: is it a plugin?"},
		},
		"silent": {
			change: func(o *Options) { o.StartTimeout = 2 * time.Second },
			want:   []string{"start plugin zoo-silent: "},
		},
		"liar": {want: []string{`it calls itself "someone-else", not "zoo-liar"`, "hint: approve it again"}},
		"fake": {
			change: func(o *Options) { o.Env = []string{"ZOO_LINE=1|1|tcp|127.0.0.1:1|grpc|" + strings.Repeat("A", 80)} },
			want:   []string{`it listens on "tcp" "127.0.0.1:1"; only a Unix socket is dialled`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, func(o *Options) {
				if c.change != nil {
					c.change(o)
				}
			})
			began := time.Now()
			err := s.Sync(t.Context(), []Binary{animal(t, name)})
			require.Error(t, err)
			for _, part := range c.want {
				require.ErrorContains(t, err, part)
			}
			require.Less(t, time.Since(began), 15*time.Second)
			require.Empty(t, s.Loaded())
			_, err = s.Acquire(t.Context(), "zoo-"+name, integration(1))
			require.ErrorIs(t, err, ErrNotLoaded)
			st := s.status("zoo-" + name)
			require.Contains(t, []State{StateBackoff, StateStarting}, st.State)
			require.NotEmpty(t, st.LastError)
		})
	}
}

// rows: F08, H16
func TestUnfitProgramsAreExplained(t *testing.T) {
	t.Parallel()
	s := setup(t)
	good := animal(t, "ok")
	body, err := os.ReadFile(good.Path)
	require.NoError(t, err)
	write := func(name string, body []byte, mode os.FileMode) Binary {
		path := t.TempDir() + "/" + name
		writeProgram(t, path, body)
		require.NoError(t, os.Chmod(path, mode))
		return Binary{Name: "zoo-" + name, Path: path}
	}
	other := append([]byte{}, body...)
	other[18], other[19] = 0xf3, 0 // e_machine: RISC-V
	for name, c := range map[string]struct {
		binary Binary
		want   string
	}{
		"OtherProcessor":     {write("arch", other, 0o700), "built for linux/riscv64, this host is"},
		"NotExecutable":      {write("mode", body, 0o600), "not executable (hint: chmod +x"},
		"Empty":              {write("empty", nil, 0o700), "the file is empty"},
		"NoProgram":          {write("text", []byte("hello"), 0o700), "the file is no program"},
		"MissingInterpreter": {write("script", []byte("#!/no/such/interpreter\n"), 0o700), "its interpreter /no/such/interpreter is missing"},
		"Missing":            {Binary{Name: "zoo-gone", Path: t.TempDir() + "/gone"}, "no such file"},
		"OtherDigest":        {Binary{Name: "zoo-ok", Path: good.Path, Digest: strings.Repeat("0", 64)}, "its digest is not the approved one"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, s.Sync(t.Context(), []Binary{c.binary}), c.want)
		})
	}
	sum := sha256.Sum256(body)
	whole := hex.EncodeToString(sum[:])
	for percent := 5; percent < 100; percent += 5 {
		t.Run("CutAt"+strconv.Itoa(percent), func(t *testing.T) {
			// Most of a Go program is enough to start it: only the digest tells.
			b := write("cut", body[:len(body)*percent/100], 0o700)
			b.Digest = whole
			require.ErrorContains(t, s.Sync(t.Context(), []Binary{b}), "the file is cut short (hint: copy it again)")
		})
	}
}

// rows: H05, H06, H07, H08, H09, H10, H11, H12, H25, P06, P07, F06
func TestOutputDoesNotHarmTheHost(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) {
		o.Redact = func(text string) string { return strings.ReplaceAll(text, "hunter2-hunter2", "***") }
	})
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "noise"), animal(t, "json"), animal(t, "ok")}))
	require.Equal(t, []string{"zoo-json", "zoo-noise", "zoo-ok"}, s.Loaded())

	t.Run("NoiseBeforeTheHandshakeIsLogged", func(t *testing.T) {
		require.Equal(t, "stdout", s.line(t, "zoo-noise", says("starting up...")).Fields["stream"])
		require.JSONEq(t, `"hi"`, s.call(t, "zoo-noise", "echo"))
	})
	t.Run("HostileJSONIsLoggedAsText", func(t *testing.T) {
		require.Equal(t, "debug", s.line(t, "zoo-json", says(`{"@message":1}`)).Level)
		require.Equal(t, "info", s.line(t, "zoo-json", says("odd level")).Level)
	})
	t.Run("FieldsOfTheLineAreKept", func(t *testing.T) {
		s.call(t, "zoo-ok", "echo")
		l := s.line(t, "zoo-ok", says("opened"))
		require.Equal(t, "acme", l.Fields["tenant"])
		require.Equal(t, "1.0.0", l.Version)
		require.Equal(t, s.status("zoo-ok").PID, l.PID)
	})
	t.Run("LongLineKeepsItsLevel", func(t *testing.T) {
		s.call(t, "zoo-ok", "longline")
		l := s.line(t, "zoo-ok", says("bytes cut)"))
		require.Equal(t, "error", l.Level)
		require.LessOrEqual(t, len(l.Message), maxLine+40)
	})
	t.Run("RawStdoutDoesNotBlock", func(t *testing.T) {
		s.call(t, "zoo-ok", "stdout")
		require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	})
	t.Run("PrintedLinesReachTheLog", func(t *testing.T) {
		s.call(t, "zoo-ok", "print")
		s.line(t, "zoo-ok", says("printed after the handshake"))
	})
	t.Run("SecretsAreTakenOut", func(t *testing.T) {
		s.call(t, "zoo-ok", "secret")
		l := s.line(t, "zoo-ok", says("token is ***"))
		require.Equal(t, "***", l.Fields["t"])
	})
	t.Run("PanicOfAHandlerFailsItsCallAlone", func(t *testing.T) {
		_, err := s.invoke(t.Context(), "zoo-ok", "panic", "")
		require.ErrorContains(t, err, "panic")
		require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	})
	t.Run("HugeAnswerIsRefused", func(t *testing.T) {
		_, err := s.invoke(t.Context(), "zoo-ok", "big", "")
		require.Error(t, err)
		require.Equal(t, sdk.ClassSystem, sdk.AsError(err).Class)
		require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	})
	t.Run("FloodIsCutAndCounted", func(t *testing.T) {
		s.call(t, "zoo-ok", "flood")
		require.Eventually(t, func() bool {
			s.call(t, "zoo-ok", "secret")
			lines, err := s.Logs("zoo-ok", 0)
			require.NoError(t, err)
			for _, l := range lines {
				if strings.HasPrefix(l.Message, "dropped ") {
					return true
				}
			}
			return false
		}, time.Minute, 50*time.Millisecond)
	})
}

// rows: P03, H25, H28
func TestProcessIsGivenNothingOfTheHost(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "hunter2")
	s := setup(t, func(o *Options) { o.Env = []string{"GOMEMLIMIT=1GiB"} })
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	var seen struct {
		Env  []string          `json:"env"`
		Args []string          `json:"args"`
		FDs  map[string]string `json:"fds"`
		PID  int               `json:"pid"`
		PGID int               `json:"pgid"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.call(t, "zoo-ok", "look")), &seen))
	allowed := []string{
		"PATH", "TMPDIR", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "GOMEMLIMIT", "JACKFIELD_PLUGIN",
		"PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_CLIENT_CERT",
	}
	for _, kv := range seen.Env {
		name, _, _ := strings.Cut(kv, "=")
		require.Contains(t, allowed, name)
	}
	require.Equal(t, []string{"zoo-ok"}, seen.Args)
	require.Equal(t, seen.PID, seen.PGID, "it leads a group of its own")
	for fd, target := range seen.FDs {
		ok := strings.HasPrefix(target, "pipe:") || strings.HasPrefix(target, "socket:") ||
			strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/proc/") ||
			strings.HasPrefix(target, "/sys/fs/cgroup") // the Go runtime reads its CPU limit
		require.True(t, ok, "file %s is %s", fd, target)
	}
}

// rows: H02, H03, F03, F06
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]string{"Plain": "echo", "Frozen": "freeze", "Grandchild": "grandchild", "Deaf": "echo"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plugin := "ok"
			if name == "Deaf" {
				plugin = "deaf"
			}
			s := setup(t)
			require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, plugin)}))
			h, err := s.Acquire(t.Context(), "zoo-"+plugin, integration(1))
			require.NoError(t, err)
			answered := make(chan string, 1)
			go func() {
				res, _ := h.Instance.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: hook, Payload: []byte(`1`)}) //nolint:forcetypeassert // Acquire promises it
				answered <- string(res.Payload)
			}()
			var grandchild int
			if name == "Frozen" {
				require.Eventually(t, func() bool { return stopped(t, s.status("zoo-ok").PID) }, time.Minute, 5*time.Millisecond)
			} else if grandchild, err = strconv.Atoi(<-answered); hook == "grandchild" {
				require.NoError(t, err)
			}
			h.Release()
			began := time.Now()
			s.stop()
			require.Less(t, time.Since(began), 8*time.Second)
			if hook == "grandchild" {
				require.Eventually(t, func() bool { return gone(grandchild) }, time.Minute, 5*time.Millisecond)
			}
		})
	}
}

// stopped reports a process that SIGSTOP holds.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	require.NoError(t, err)
	return strings.Contains(string(stat), ") T ")
}

// gone reports a process that has ended, reaped or not.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ") || pid <= 1 || syscall.Kill(pid, 0) != nil
}
