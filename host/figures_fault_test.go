//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/sandbox"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// deathsMeasured is how often a process is killed, each time the first one of its
// plugin: the rest before the next start grows with each.
const deathsMeasured = 20

// measureDeaths kills a plugin's process in a call, and measures when the caller is told
// and when the plugin serves again (F02).
func measureDeaths(t *testing.T, f *figures) {
	t.Helper()
	var told, back []time.Duration
	for range deathsMeasured {
		s, b := oneDeath(t)
		told, back = append(told, s), append(back, b)
	}
	f.most(fmt.Sprintf("the end of a plugin's process, until its caller is told, the longest of %d", deathsMeasured), micros(slices.Max(told))/1000, 50, "ms")
	f.most("  until it serves again, likewise", micros(slices.Max(back))/1000, 1000, "ms")
}

func oneDeath(t *testing.T) (told, back time.Duration) {
	t.Helper()
	bin, err := builds()
	require.NoError(t, err)
	sup, ctx, stop := supervised(t)
	defer stop()
	require.NoError(t, sup.Sync(ctx, []supervisor.Binary{{Name: "load", Path: filepath.Join(bin, "load")}}))
	call := func(hook string) error {
		h, err := sup.Acquire(ctx, "load", sdk.Integration{ID: "a1", Tenant: "acme", Name: "load", Revision: 1, Settings: sdk.NewSettings([]byte("{}"))})
		if err != nil {
			return err
		}
		defer h.Release()
		_, err = h.Instance.(sdk.Invoker).Invoke(ctx, sdk.HookCall{Name: hook}) //nolint:forcetypeassert // the load plugin is one
		return err
	}
	require.NoError(t, call("echo"))
	lost := make(chan error, 1)
	go func() { lost <- call("hang") }()
	require.Eventually(t, func() bool { return sup.Status()[0].InFlight == 1 }, patience, time.Millisecond)
	began := time.Now()
	require.NoError(t, syscall.Kill(sup.Status()[0].PID, syscall.SIGKILL))
	require.ErrorIs(t, <-lost, plugin.ErrLost)
	told = time.Since(began)
	require.Eventually(t, func() bool { return call("echo") == nil }, patience, time.Millisecond)
	return told, time.Since(began)
}

// measureRestart kills a daemon with ten thousand streams waiting, and measures when the
// next one has committed something (F01).
func measureRestart(t *testing.T, f *figures) {
	t.Helper()
	s := newSite(t, map[string]any{"streams": 10_000, "pages": 1, "records": 1, "size": 100, "pause_ms": 5})
	d := s.start()
	s.until("it works", func() bool {
		n, ok := s.progress()
		return ok && n > 100
	})
	var took []float64
	for range figuresRounds {
		d.kill(t)
		before := len(s.contents())
		began := time.Now()
		d = s.start()
		require.Eventually(t, func() bool {
			n, ok := s.progress()
			return ok && n > before
		}, patience, 5*time.Millisecond)
		took = append(took, micros(time.Since(began))/1000)
	}
	d.stop(t)
	f.most(fmt.Sprintf("restart of a killed daemon with 10,000 streams waiting, to its first commit, the longest of %d", len(took)), slices.Max(took), 1000, "ms")
}

// hogQuiet is how long a daemon is asked while nothing else goes on.
const hogQuiet = 3 * time.Second

// measureHog asks a daemon over HTTP while a plugin takes more memory than it may, until
// its process is ended, and while nothing goes on (P08).
func measureHog(t *testing.T, f *figures) {
	t.Helper()
	if sandbox.New(sandbox.Options{}).Verdict().Level != sandbox.Full {
		f.plain("answers of the daemon beside a plugin that takes all memory", "not measured on this system")
		return
	}
	s := newSite(t, loadShape{streams: 1, pages: 1, records: 10}.settings())
	s.withEscape(", memory: 256MiB")
	d := s.start()
	s.ready()
	s.until("both serve", func() bool { return s.file("load").PID != 0 && s.file("escape").PID != 0 })
	s.awaitRun(1)
	_, secret := s.token("bench", "--scope", "read")
	url := "http://" + s.httpAddress() + "/api/v1/runs"
	quiet := asked(t, url, secret, hogQuiet, func() bool { return false })
	raw, err := json.Marshal(map[string]any{"attempts": []escape{{"hog", "hog", "1024"}}})
	require.NoError(t, err)
	s.write("tenants/evil.yaml", fmt.Sprintf("tenant: evil\nintegrations:\n  - name: out\n    plugin: escape\n    settings: %s\n", raw))
	began := time.Now()
	beside := asked(t, url, secret, time.Minute, func() bool { return strings.Contains(d.log.String(), "than the 256 MiB of memory") })
	require.Less(t, time.Since(began), time.Minute, "the plugin was never ended")
	d.stop(t)
	p99 := func(of []time.Duration) float64 { return micros(percentile(of, 0.99)) / 1000 }
	what := "answers of the daemon while a plugin takes memory until it is ended, p99"
	f.line(what, fmt.Sprintf("%.1f ms", p99(beside)), "<= 5.0 ms", p99(beside) <= 5)
	f.plain("  while nothing goes on", fmt.Sprintf("%.1f ms", p99(quiet)))
}

// asked asks again and again, with a moment in between, for so long or until it is over,
// and returns how long each answer took.
func asked(t *testing.T, url, token string, most time.Duration, over func() bool) (took []time.Duration) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for end := time.Now().Add(most); time.Now().Before(end) && !over(); wait(t, 1) {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		began := time.Now()
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		var doc any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&doc))
		took = append(took, time.Since(began))
		require.NoError(t, resp.Body.Close())
	}
	return took
}
