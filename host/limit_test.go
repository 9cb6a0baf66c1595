//go:build unix

package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rows: C23, K14, F19
//
// Two integrations share a limit. Whatever they have drawn when the daemon is killed
// is theirs afterwards, so that both together import what one could, and no more for
// as many restarts as there are; a higher limit, once it is read, lets them go on.
func TestASharedLimitHoldsOverRestarts(t *testing.T) {
	t.Parallel()
	const records, all = 400, 4 * 20 * 10 // of each
	const beyond = 2 * 4 * 10             // a page for each call that was under way
	const most = 2 * time.Minute          // that a step may take on a busy machine
	s := newSite(t, nil)
	declare := func(limit int, more string) {
		text := "tenant: acme\nintegrations:\n"
		for _, name := range []string{"one", "two"} {
			text += fmt.Sprintf(`  - {name: %s, plugin: load, connectors: [things], every: -1, limit: {records: %d, per: 24h, key: account},
     settings: {streams: 4, pages: 20, records: 10, pause_ms: 20, mark: %s}}
`, name, limit, name)
		}
		s.write("tenants/acme.yaml", text+more)
	}
	read := func() int {
		return s.runOf("acme/one").Stats.Read + s.runOf("acme/two").Stats.Read
	}
	both := func(state string) func() bool {
		return func() bool { return s.runOf("acme/one").State == state && s.runOf("acme/two").State == state }
	}
	declare(records, "")
	d := s.start()
	s.ready()
	s.within(most, "they import", func() bool { return read() > 50 })
	d.kill(t)

	d = s.start()
	s.ready()
	s.within(most, "the limit is reached", both("delayed"))
	stopped := read()
	require.GreaterOrEqual(t, stopped, records-beyond, "what a killed daemon had drawn is not lost")
	require.LessOrEqual(t, stopped, records+beyond)
	require.Contains(t, s.cli("run", "show", s.runOf("acme/one").ID), "the limit of 400 records in 24h is reached")
	d.kill(t)

	d = s.start()
	s.ready()
	declare(records, "  - {name: free, plugin: load, connectors: [things], every: -1, settings: {streams: 2, pages: 3, records: 10}}\n")
	s.cli("reload")
	s.within(most, "one without a limit is imported", func() bool { return s.runOf("acme/free").State == "processed" })
	require.True(t, both("delayed")())
	require.Equal(t, stopped, read())

	declare(10*all, "")
	s.cli("reload")
	s.within(most, "the rest is imported", both("processed"))
	require.Equal(t, 2*all, read())
	d.stop(t)
	s.verified()
}
