package telemetry

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// storeTimeout bounds the read of the store's numbers.
const storeTimeout = 5 * time.Second

// collector reads, when it is asked, what is a state and no count.
type collector struct {
	opts    Options
	plugins *names

	build, state, pid, restarts, inFlight, instances, memory, cpu   *prometheus.Desc
	up, runs, streams, integrations, lanes, writes, size, pos, full *prometheus.Desc
}

func newCollector(opts Options, plugins *names) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("jackfield_"+name, help, labels, nil)
	}
	return &collector{
		opts: opts, plugins: plugins,
		build:        desc("build_info", "The daemon's version.", "version"),
		state:        desc("plugin_state", "1 for the state that a plugin's process is in.", "plugin", "state"),
		pid:          desc("plugin_process_id", "The process that serves; 0 without one.", "plugin"),
		restarts:     desc("plugin_restarts_total", "Restarts after a crash, since the plugin was loaded.", "plugin"),
		inFlight:     desc("plugin_calls_in_flight", "Calls that go on.", "plugin"),
		instances:    desc("plugin_instances", "Integrations that the process has open.", "plugin"),
		memory:       desc("plugin_resident_memory_bytes", "Memory of the process.", "plugin"),
		cpu:          desc("plugin_cpu_seconds_total", "Time of processors that the process has used.", "plugin"),
		up:           desc("store_up", "1 if the store could be read."),
		runs:         desc("runs", "Runs that the store keeps, by state.", "state"),
		streams:      desc("streams", "Streams of runs that have not ended, by state.", "state"),
		integrations: desc("integrations", "Integrations, by state.", "state"),
		lanes:        desc("lanes", "Lanes with work that is due, and those that are held.", "what"),
		writes:       desc("store_writes_waiting", "Writes that wait for the writer."),
		size:         desc("store_size_bytes", "Size of the store's files.", "file"),
		pos:          desc("store_position", "Newest position of the change feed."),
		full:         desc("store_full", "1 while the disk is full."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.build, c.state, c.pid, c.restarts, c.inFlight, c.instances, c.memory, c.cpu,
		c.up, c.runs, c.streams, c.integrations, c.lanes, c.writes, c.size, c.pos, c.full,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	put := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		m, err := prometheus.NewConstMetric(d, kind, value, labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(d, err)
		}
		to <- m
	}
	put(c.build, prometheus.GaugeValue, 1, c.opts.Version)
	c.collectPlugins(put)
	c.collectStore(put)
}

type putFunc func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string)

// collectPlugins tells of each plugin's first process: of several, that which
// serves or is to serve comes first.
func (c *collector) collectPlugins(put putFunc) {
	seen := map[string]bool{}
	for _, p := range c.opts.Plugins() {
		name := c.plugins.clamp(p.Name)
		if seen[name] {
			continue
		}
		seen[name] = true
		for _, state := range c.opts.States {
			put(c.state, prometheus.GaugeValue, one(state == p.State), name, state)
		}
		put(c.pid, prometheus.GaugeValue, float64(p.PID), name)
		put(c.restarts, prometheus.CounterValue, float64(p.Restarts), name)
		put(c.inFlight, prometheus.GaugeValue, float64(p.InFlight), name)
		put(c.instances, prometheus.GaugeValue, float64(p.Instances), name)
		memory, cpu := Usage(p.PID)
		for _, pid := range p.Others {
			m, c := Usage(pid)
			memory, cpu = memory+m, cpu+c
		}
		if memory > 0 {
			put(c.memory, prometheus.GaugeValue, float64(memory), name)
			put(c.cpu, prometheus.CounterValue, cpu.Seconds(), name)
		}
	}
}

func (c *collector) collectStore(put putFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	g, err := c.opts.Store(ctx)
	put(c.up, prometheus.GaugeValue, one(err == nil))
	if err != nil {
		return
	}
	for state, n := range g.Runs {
		put(c.runs, prometheus.GaugeValue, float64(n), string(state))
	}
	for state, n := range g.Streams {
		put(c.streams, prometheus.GaugeValue, float64(n), string(state))
	}
	for state, n := range g.Integrations {
		put(c.integrations, prometheus.GaugeValue, float64(n), string(state))
	}
	put(c.lanes, prometheus.GaugeValue, float64(g.LanesDue), "due")
	put(c.lanes, prometheus.GaugeValue, float64(g.LanesHeld), "held")
	put(c.writes, prometheus.GaugeValue, float64(g.Writes))
	put(c.size, prometheus.GaugeValue, float64(g.Database), "database")
	put(c.size, prometheus.GaugeValue, float64(g.WAL), "wal")
	put(c.pos, prometheus.GaugeValue, float64(g.Position))
	put(c.full, prometheus.GaugeValue, one(g.Full))
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// Usage returns the memory that a process has, in bytes, and the time of processors
// that it has used: 0 for no process, and where the system does not tell.
func Usage(pid int) (memory int64, cpu time.Duration) {
	if pid <= 0 {
		return 0, 0
	}
	return readUsage(strconv.Itoa(pid))
}
