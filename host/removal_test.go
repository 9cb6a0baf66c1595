//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// tenant writes the file of a tenant with integrations of the plugin load by name
// and settings.
func (s *site) tenant(tenant string, integrations map[string]map[string]any) {
	s.t.Helper()
	text := "tenant: " + tenant + "\nintegrations:\n"
	for name, settings := range integrations {
		raw, err := json.Marshal(settings)
		require.NoError(s.t, err)
		text += fmt.Sprintf("  - {name: %s, plugin: load, connectors: [things], every: -1, settings: %s}\n", name, raw)
	}
	s.write("tenants/"+tenant+".yaml", text)
}

// things returns how many records of an integration are not deleted.
func (s *site) things(name string) int {
	s.t.Helper()
	var doc struct{ Records map[string]int }
	s.read(&doc, "integration", "show", name)
	return doc.Records["thing"]
}

// killedWhilePurging kills the daemon while the records of an integration go, and
// has another one end that.
func (s *site) killedWhilePurging(d *daemonProcess, name string, all int) *daemonProcess {
	s.t.Helper()
	d.kill(s.t) // before it has begun, as far as anybody can tell
	d = s.start()
	s.ready()
	left := all
	s.noticed("records go", func() bool {
		left = s.things(name)
		return left < all
	})
	d.kill(s.t)
	require.Positive(s.t, left, "the purge was over before the daemon was killed")
	d = s.start()
	s.ready()
	s.within(time.Minute, "the purge ends", func() bool { return s.things(name) == 0 })
	return d
}

// rows: O36, K22, F01
//
// An integration and then its tenant are deleted, and the daemon is killed in the
// middle of both: the next one goes on until nothing is left but what the feed
// tells, and the neighbours have everything.
func TestADeleteIsResumedAfterAKill(t *testing.T) {
	t.Parallel()
	const most, few = 20_000, 500
	big := map[string]any{"streams": 4, "pages": 10, "records": 500}
	small := map[string]any{"streams": 1, "pages": 1, "records": few}
	s := newSite(t, small)
	s.tenant("acme", map[string]map[string]any{"load": big, "second": big})
	s.tenant("globex", map[string]map[string]any{"load": small})
	d := s.start()
	s.ready()
	s.until("the files are applied", func() bool { // a daemon answers before that
		out, err := s.try("integration", "list")
		return err == nil && strings.Count(out, "/load") == 2 && strings.Contains(out, "acme/second")
	})
	s.within(2*time.Minute, "all is imported", func() bool {
		return s.things("acme/load") == most && s.things("acme/second") == most && s.things("globex/load") == few
	})
	for _, command := range [][]string{{"integration", "delete", "acme/load"}, {"tenant", "delete", "acme"}} {
		out, err := s.try(append(command, "--yes")...)
		require.Error(t, err)
		require.Contains(t, out, "file first", "what a file declares is not deleted")
	}

	s.tenant("acme", map[string]map[string]any{"second": big})
	s.cli("reload")
	require.Equal(t, most, s.things("acme/load"), "it may come back")
	s.cli("integration", "delete", "acme/load", "--yes")
	d = s.killedWhilePurging(d, "acme/load", most)
	require.Equal(t, most, s.things("acme/second"))

	require.NoError(t, os.Remove(filepath.Join(s.dir, "tenants", "acme.yaml")))
	s.cli("reload")
	s.cli("tenant", "delete", "acme", "--yes")
	require.NotContains(t, s.cli("tenant", "list"), "acme")
	d = s.killedWhilePurging(d, "acme/second", most)
	require.Equal(t, few, s.things("globex/load"))
	d.stop(t)
	s.verified()
	s.leftAfterAMonth("globex", few, 2*most)
}

// leftAfterAMonth wants the feed to tell of the deletions, and a month later to find
// one tenant with its records in the store and nothing else.
func (s *site) leftAfterAMonth(tenant string, records, deleted int) {
	s.t.Helper()
	var ahead time.Duration
	db, err := sqlite.Open(context.Background(), sqlite.Options{
		Path: filepath.Join(s.dir, "data"), Now: func() time.Time { return time.Now().Add(ahead) },
	})
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, db.Close()) }()
	count := func() (living, gone int) {
		for after := int64(0); ; {
			page, err := db.Records(context.Background(), store.RecordFilter{After: after, Limit: 1000, Deleted: true})
			require.NoError(s.t, err)
			for _, r := range page {
				after = r.Position
				if r.Deleted {
					gone++
				} else {
					living++
				}
			}
			if len(page) == 0 {
				return living, gone
			}
		}
	}
	living, gone := count()
	require.Equal(s.t, []int{records, deleted}, []int{living, gone})
	for _, ahead = range []time.Duration{2 * time.Hour, 31 * 24 * time.Hour, 32 * 24 * time.Hour} {
		for more := true; more; {
			more, err = db.Purge(context.Background(), store.DefaultRetention())
			require.NoError(s.t, err)
		}
	}
	living, gone = count()
	require.Equal(s.t, []int{records, 0}, []int{living, gone})
	tenants, err := db.Tenants(context.Background())
	require.NoError(s.t, err)
	require.Len(s.t, tenants, 1)
	require.Equal(s.t, tenant, tenants[0].Name)
	integrations, err := db.Integrations(context.Background(), store.IntegrationFilter{})
	require.NoError(s.t, err)
	require.Len(s.t, integrations, 1)
	runs, err := db.Runs(context.Background(), store.RunFilter{})
	require.NoError(s.t, err)
	for _, r := range runs {
		require.Equal(s.t, tenant, r.Tenant)
	}
	broken, err := db.Verify(context.Background())
	require.NoError(s.t, err)
	require.Empty(s.t, broken)
}

// rows: C52
//
// An integration leaves its file while its run goes on: the run is cancelled, the
// plugin is not called for it any more, and what was imported stays.
func TestVanishedInTheMiddleOfARun(t *testing.T) {
	t.Parallel()
	small := map[string]any{"streams": 2, "pages": 2, "records": 10}
	s := newSite(t, small)
	trap := filepath.Join(s.dir, "trap")
	slow := map[string]any{"streams": 40, "pages": 100, "records": 10, "pause_ms": 50}
	slow["fault"] = map[string]any{"do": "exit", "stream": "*", "while": trap}
	s.tenant("acme", map[string]map[string]any{"load": slow, "second": small, "third": small})
	d := s.start()
	s.ready()
	var run runDoc
	s.noticed("it stores records", func() bool {
		run = s.runOf("acme/load")
		return run.Stats.Read > 0
	})
	require.Equal(t, "processing", run.State)
	pid := s.serving().PID

	s.tenant("acme", map[string]map[string]any{"second": small, "third": small})
	s.cli("reload")
	require.Equal(t, "cancelled", s.runOf("acme/load").State, "at once")
	gone := s.shown("acme/load")
	require.Equal(t, "disabled", gone.State)
	require.Equal(t, store.KeepRemoved, gone.KeepUntil.Sub(gone.RemovedAt))
	s.noticed("its calls end", func() bool { return s.serving().Calls == 0 })
	require.NoError(t, os.WriteFile(trap, nil, 0o600)) // a call for it ends the process from here

	kept := s.things("acme/load")
	require.GreaterOrEqual(t, kept, run.Stats.Added)
	for _, other := range []string{"acme/second", "acme/third"} {
		s.noticed("the others are imported", func() bool { return s.runOf(other).State == "processed" })
		s.cli("integration", "sync", other, "--wait", "-q", "-o", "json")
	}
	out, err := s.try("integration", "sync", "acme/load")
	require.Error(t, err, out)
	out, err = s.try("run", "continue", run.ID)
	require.Error(t, err, out)
	require.Equal(t, pid, s.serving().PID, "no further call")
	require.Zero(t, s.serving().Restarts)
	after := s.runOf("acme/load")
	require.Equal(t, run.ID, after.ID, "no other run")
	require.Zero(t, after.Streams.Pending+after.Streams.Processing+after.Streams.Delayed)
	require.Equal(t, kept, s.things("acme/load"), "its data stays")
	d.stop(t)
	s.verified()
}
