package telemetry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newMetrics(plugins []Plugin, g store.Gauges, err error) *Metrics {
	return New(Options{
		Version: "1.2.3", States: []string{"serving", "backoff"},
		Plugins: func() []Plugin { return plugins },
		Store:   func(context.Context) (store.Gauges, error) { return g, err },
	})
}

// scrape returns the series without their values, and all lines.
func scrape(t *testing.T, m *Metrics) (series []string, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	text = w.Body.String()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "jackfield_") {
			series = append(series, line[:strings.LastIndexByte(line, ' ')])
		}
	}
	return series, text
}

func TestMetricsTellWhatHappened(t *testing.T) {
	t.Parallel()
	m := newMetrics([]Plugin{{Name: "git", State: "serving", PID: os.Getpid(), Restarts: 3, InFlight: 2, Instances: 5}, {Name: "git", State: "backoff", PID: 1}},
		store.Gauges{
			Runs: map[store.RunState]int64{store.RunProcessing: 4}, Streams: map[store.StreamState]int64{store.StreamPending: 1000},
			Integrations: map[store.IntegrationState]int64{store.IntegrationActive: 7}, LanesDue: 6, LanesHeld: 8, Writes: 9, Database: 4096, WAL: 512, Position: 77,
		}, nil)
	m.Called("git", "Check", 0, 20*time.Millisecond)
	m.Called("git", "Check", 14, 20*time.Millisecond)
	m.Moved("process", "serving")
	m.Committed(3*time.Millisecond, 12)
	m.Applied(4 * time.Millisecond)
	_, text := scrape(t, m)
	for _, line := range []string{
		`jackfield_build_info{version="1.2.3"} 1`,
		`jackfield_plugin_state{plugin="git",state="serving"} 1`, `jackfield_plugin_state{plugin="git",state="backoff"} 0`,
		`jackfield_plugin_process_id{plugin="git"} `, `jackfield_plugin_restarts_total{plugin="git"} 3`,
		`jackfield_plugin_calls_in_flight{plugin="git"} 2`, `jackfield_plugin_instances{plugin="git"} 5`,
		`jackfield_call_duration_seconds_count{code="0",method="Check"} 1`, `jackfield_call_duration_seconds_count{code="14",method="Check"} 1`,
		`jackfield_plugin_calls_total{code="14",plugin="git"} 1`, `jackfield_plugin_call_seconds_total{plugin="git"} 0.04`,
		`jackfield_plugin_moves_total{machine="process",to="serving"} 1`,
		`jackfield_store_commit_seconds_count 1`, `jackfield_store_writes_total 12`, `jackfield_store_apply_seconds_count 1`,
		`jackfield_store_up 1`, `jackfield_runs{state="processing"} 4`, `jackfield_streams{state="pending"} 1000`,
		`jackfield_integrations{state="active"} 7`, `jackfield_lanes{what="due"} 6`, `jackfield_lanes{what="held"} 8`,
		`jackfield_store_writes_waiting 9`, `jackfield_store_size_bytes{file="wal"} 512`, `jackfield_store_position 77`, `jackfield_store_full 0`,
		"go_goroutines ",
	} {
		require.Contains(t, text, line)
	}
	if runtime.GOOS == "linux" {
		require.Contains(t, text, `jackfield_plugin_cpu_seconds_total{plugin="git"} `)
		require.Contains(t, text, `jackfield_plugin_resident_memory_bytes{plugin="git"} `)
		memory, _ := Usage(os.Getpid())
		require.Greater(t, memory, int64(1<<20))
	}
}

func TestAStoreThatCannotBeReadIsDown(t *testing.T) {
	t.Parallel()
	_, text := scrape(t, newMetrics(nil, store.Gauges{}, errors.New("gone")))
	require.Contains(t, text, "jackfield_store_up 0")
	require.NotContains(t, text, "jackfield_lanes")
}

// Ten thousand answers of a plugin that makes up codes, and as many names, add no
// series without an end.
//
// rows: P06, I11
func TestP06SeriesAreBounded(t *testing.T) {
	t.Parallel()
	m := newMetrics([]Plugin{{Name: "hostile", State: "serving"}}, store.Gauges{}, nil)
	for code := range uint32(maxCode + 1) {
		m.Called("hostile", "ProcessStream", code, time.Millisecond)
	}
	before, _ := scrape(t, m)
	for n := range uint32(10_000) {
		m.Called("hostile", "ProcessStream", n, time.Millisecond)
		m.Called("hostile", "ProcessStream", math.MaxUint32-n, time.Millisecond)
	}
	after, text := scrape(t, m)
	require.Equal(t, before, after)
	require.NotContains(t, text, `code="17"`)

	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for n := range 2500 {
				m.Called("hostile", fmt.Sprintf("Made up %d %d \"\n", part, n), 0, 0)
				m.Moved("plugin", fmt.Sprintf("made up %d %d", part, n))
			}
		})
	}
	wg.Wait()
	bounded, _ := scrape(t, m)
	const buckets = 12 // and sum and count
	require.LessOrEqual(t, len(bounded)-len(after), maxMethods*buckets+maxMoves)
	for n := range 10_000 {
		m.Called("made-up", fmt.Sprint(n), 0, 0)
		m.Moved(fmt.Sprint(n), fmt.Sprint(n))
	}
	again, _ := scrape(t, m)
	require.LessOrEqual(t, len(again)-len(bounded), 3, "the other move, and two of the one plugin")
}

// BenchmarkCalled is what a call pays; a record pays nothing.
func BenchmarkCalled(b *testing.B) {
	m := newMetrics(nil, store.Gauges{}, nil)
	for b.Loop() {
		m.Called("git", "ProcessStream", 0, time.Millisecond)
	}
}
