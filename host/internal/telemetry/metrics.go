package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jackfield/jackfield/store"
)

// The bounds of what becomes a label. What is beyond them counts as "other".
const (
	maxPlugins = 1024
	maxMethods = 32
	maxMoves   = 128
	other      = "other"
)

// maxCode is the last code of gRPC; a plugin can answer any number.
const (
	maxCode     = 16
	unknownCode = 2
)

// Plugin is how a plugin is.
type Plugin struct {
	Name      string
	Version   string
	State     string // of its process
	PID       int    // zero without a process
	Restarts  int
	InFlight  int // calls
	Instances int

	Others []int // processes, of a plugin that has one for each tenant
}

// Options are what New needs to know. All are required but Version.
type Options struct {
	Version string
	// Plugins returns how the plugins are now. It must not wait for one.
	Plugins func() []Plugin
	// States are those that Plugin.State can have.
	States []string
	// Store returns the numbers of the store.
	Store func(ctx context.Context) (store.Gauges, error)
}

// Metrics are the daemon's. Their methods may be called from several goroutines
// and do not wait.
type Metrics struct {
	registry *prometheus.Registry

	calls   *prometheus.HistogramVec // method, code
	called  *prometheus.CounterVec   // plugin, code
	busy    *prometheus.CounterVec   // plugin
	moves   *prometheus.CounterVec   // machine, to
	ways    *prometheus.CounterVec   // plugin, result
	carried *prometheus.CounterVec   // plugin, direction
	commits prometheus.Histogram
	writes  prometheus.Counter
	applies prometheus.Histogram
	spans   *prometheus.CounterVec // result
	refused *prometheus.CounterVec // reason

	plugins, methods, states *names
}

// New returns metrics that count from zero.
func New(opts Options) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "jackfield_call_duration_seconds", Help: "Calls of plugins, by method of the protocol and code of gRPC.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"method", "code"}),
		called: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_plugin_calls_total", Help: "Calls of a plugin that have ended, by code of gRPC.",
		}, []string{"plugin", "code"}),
		busy: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_plugin_call_seconds_total", Help: "Time that calls of a plugin took, in all.",
		}, []string{"plugin"}),
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_plugin_moves_total", Help: "Transitions of programs, plugins and processes, by machine and new state.",
		}, []string{"machine", "to"}),
		ways: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_plugin_egress_total", Help: "Connections that a plugin wanted of the proxy, by result: connected, refused, failed.",
		}, []string{"plugin", "result"}),
		carried: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_plugin_egress_bytes_total", Help: "Bytes that the proxy carried for a plugin, sent or received.",
		}, []string{"plugin", "direction"}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "jackfield_store_commit_seconds", Help: "Transactions of the store, from the first statement to the end of the commit.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		writes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "jackfield_store_writes_total", Help: "Writes that transactions of the store held.",
		}),
		applies: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "jackfield_store_apply_seconds", Help: "Segments, from when they came to their commit.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		spans: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_trace_spans_total", Help: "Spans, by what became of them: sent, failed (the collector did not take them) or dropped (there were too many).",
		}, []string{"result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_http_refused_total", Help: "Requests that the HTTP listener refused: token (none that is valid), limit (too many of these from one address), host (meant for another name) or origin (of a page of another site).",
		}, []string{"reason"}),
		plugins: newNames(maxPlugins), methods: newNames(maxMethods), states: newNames(maxMoves),
	}
	m.registry.MustRegister(
		m.calls, m.called, m.busy, m.moves, m.ways, m.carried, m.commits, m.writes, m.applies, m.spans, m.refused,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCollector(opts, m.plugins),
	)
	return m
}

// Handler answers with all metrics. Two are answered at once.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 2, Timeout: 20 * time.Second,
	})
}

// Called counts a call of a plugin that has ended.
func (m *Metrics) Called(plugin, method string, code uint32, took time.Duration) {
	if code > maxCode {
		code = unknownCode
	}
	text, plugin := strconv.FormatUint(uint64(code), 10), m.plugins.clamp(plugin)
	m.calls.WithLabelValues(m.methods.clamp(method), text).Observe(took.Seconds())
	m.called.WithLabelValues(plugin, text).Inc()
	m.busy.WithLabelValues(plugin).Add(took.Seconds())
}

// Refused counts a request that the HTTP listener refused.
func (m *Metrics) Refused(reason string) { m.refused.WithLabelValues(m.states.clamp(reason)).Inc() }

// Moved counts a transition.
func (m *Metrics) Moved(machine, to string) {
	m.moves.WithLabelValues(m.states.clamp(machine), m.states.clamp(to)).Inc()
}

// Egress returns what counts a plugin's connections, by result, and the bytes on them.
func (m *Metrics) Egress(plugin string) (attempted func(result string), carried func(sent bool, bytes int)) {
	plugin = m.plugins.clamp(plugin)
	sent, received := m.carried.WithLabelValues(plugin, "sent"), m.carried.WithLabelValues(plugin, "received")
	return func(result string) { m.ways.WithLabelValues(plugin, m.states.clamp(result)).Inc() }, func(out bool, bytes int) {
		if out {
			sent.Add(float64(bytes))
		} else {
			received.Add(float64(bytes))
		}
	}
}

// Committed counts a transaction of the store.
func (m *Metrics) Committed(took time.Duration, writes int) {
	m.commits.Observe(took.Seconds())
	m.writes.Add(float64(writes))
}

// Applied counts a segment.
func (m *Metrics) Applied(took time.Duration) { m.applies.Observe(took.Seconds()) }

// Spans counts what became of spans. There are few results.
func (m *Metrics) Spans(result string, n int) { m.spans.WithLabelValues(result).Add(float64(n)) }

// names are the first that came, up to a number.
type names struct {
	most int

	mu    sync.RWMutex // guards known
	known map[string]struct{}
}

func newNames(most int) *names { return &names{most: most, known: map[string]struct{}{}} }

// clamp returns the name, or "other" if there are too many.
func (n *names) clamp(name string) string {
	n.mu.RLock()
	_, ok := n.known[name]
	n.mu.RUnlock()
	if ok {
		return name
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.known[name]; !ok && len(n.known) >= n.most {
		return other
	}
	n.known[name] = struct{}{}
	return name
}
