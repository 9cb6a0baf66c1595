//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hostilePlugin is the program that answers what breaks a host.
var hostilePlugin = sync.OnceValues(func() ([]byte, error) {
	dir, err := builds()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "hostile")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./testdata/hostile")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build hostile: %w\n%s", err, out)
	}
	return os.ReadFile(path)
})

// hostileAt are the calls that are answered badly, one an integration.
func hostileAt() []string {
	return []string{"ProcessStream", "GetStreams", "Check", "Preprocess", "CreateAttributes", "Allowed", "IsProcessingFinished", "Postprocess"}
}

// hostileMemory is what the host may take at most.
const hostileMemory = 256 << 10 // KiB

// A plugin answers its calls with thousands of replies that no plugin should make. The
// host takes no more memory for it, does not panic, counts what it gets under the codes
// that there are, and serves another plugin meanwhile.
//
// rows: P06, P10, F06, I11
func TestHostileRepliesCostNothing(t *testing.T) {
	t.Parallel()
	replies := 1000
	if soaking() {
		replies = 10_000
	}
	s := newSite(t, map[string]any{"streams": 2, "pages": 2, "records": 20})
	program, err := hostilePlugin()
	require.NoError(t, err)
	s.place("hostile", program, 0o755)
	s.cli("plugin", "approve", "hostile")
	seed := chance(t).Uint64() >> 1
	tenant := "tenant: enemy\nintegrations:\n"
	for _, at := range hostileAt() {
		tenant += fmt.Sprintf("  - {name: %s, plugin: hostile, connectors: [things], every: -1, settings: {at: %s, streams: 60, seed: %d}}\n", strings.ToLower(at), at, seed)
	}
	s.write("tenants/enemy.yaml", tenant)
	d := s.start()
	s.ready()
	s.until("the plugins serve", func() bool { return s.serving().PID != 0 && s.file("hostile").State == "serving" })

	rounds := 0
	s.within(30*time.Minute, "the replies are given", func() bool {
		rounds++
		for _, at := range hostileAt() {
			name := "enemy/" + strings.ToLower(at)
			if at == "Check" {
				_, _ = s.try("integration", "check", name) // what means nothing may pass
				continue
			}
			_, _ = s.try("integration", "sync", name, "--force") // one that waits goes on waiting
		}
		require.Equal(t, "processed", s.sync("--force").State, "another plugin is served meanwhile")
		s.cancelHostile()
		return hostileReplies(d) >= replies
	})
	kb, err := peak(d.cmd.Process.Pid)
	require.NoError(t, err)
	require.Less(t, kb, hostileMemory, "the host took %d MiB", kb>>10)
	require.Equal(t, "hostile", s.file("hostile").Name)
	token, err := os.ReadFile(filepath.Join(s.dir, "data", metricsTokenName))
	require.NoError(t, err)
	_, metrics := s.get("http://"+s.httpAddress()+"/metrics", strings.TrimSpace(string(token)))
	for _, code := range regexp.MustCompile(`code="([^"]*)"`).FindAllStringSubmatch(metrics, -1) {
		n, err := strconv.Atoi(code[1])
		require.NoError(t, err)
		require.True(t, n >= 0 && n <= 16, "a series for the code %d", n)
	}
	require.Less(t, strings.Count(metrics, "\n"), 2500)
	require.Regexp(t, `plugin_moves_total\{machine="process",to="forged_token"\} [1-9]`, metrics, "it asked in the name of calls that it was not given")
	forged := s.events("plugin.process.forged_token")
	require.NotEmpty(t, forged)
	require.Equal(t, "hostile", forged[0].Data.Plugin)
	require.NotEmpty(t, forged[0].Data.Digest)
	d.stop(t)
	require.NotContains(t, d.log.String(), "panic")
	s.verified()
	proved(t, "%d hostile replies in %d rounds: the host took %d MiB at most", hostileReplies(d), rounds, kb>>10)
}

// cancelHostile ends the runs that wait for a better plugin, so that the next ones begin.
func (s *site) cancelHostile() {
	s.t.Helper()
	var doc struct{ Runs []runDoc }
	s.read(&doc, "run", "list", "--limit", "50")
	for _, r := range doc.Runs {
		if strings.HasPrefix(r.Integration, "enemy/") && (r.State == "processing" || r.State == "delayed" || r.State == "pending") {
			_, _ = s.try("run", "cancel", r.ID) // it may have ended
		}
	}
}

// hostileReplies returns how many the plugin says that it gave, in all its processes.
func hostileReplies(d *daemonProcess) int {
	by := map[string]int{}
	for _, m := range regexp.MustCompile(`hostile replies:.* pid=(\d+).* count=(\d+)`).FindAllStringSubmatch(d.log.String(), -1) {
		n, err := strconv.Atoi(m[2])
		if err == nil {
			by[m[1]] = max(by[m[1]], n)
		}
	}
	all := 0
	for _, n := range by {
		all += n
	}
	return all
}

// peak returns the most memory that a process has had, in KiB.
func peak(pid int) (kb int, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, err := fmt.Sscan(rest, &kb)
			return kb, err
		}
	}
	return 0, fmt.Errorf("no VmHWM")
}
