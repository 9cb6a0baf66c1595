//go:build unix

package main

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: C32, F01, F02, K01, K02, I01, D22
//
// A sync whose host and plugin are killed at random moments ends with the store
// of an undisturbed one, record for record.
func TestKilledAtRandomEndsLikeUndisturbed(t *testing.T) {
	t.Parallel()
	kills, work := 200, 12
	if testing.Short() {
		kills, work = 20, 3
	}
	settings := map[string]any{"streams": 8, "children": 2, "pages": work, "records": 50, "segment": 10, "size": 300, "pause_ms": 0}

	calm := newSite(t, settings)
	d := calm.start()
	calm.await(store.RunProcessed)
	d.stop(t)
	want := calm.contents()
	require.Len(t, want, 8*3*work*50)

	settings["pause_ms"] = 10
	s := newSite(t, settings)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	hosts, plugins := 0, 0
	began := time.Now()
	d = s.start()
	for hosts+plugins < kills {
		wait(t, 20+random.IntN(130))
		if random.IntN(2) == 0 {
			if pids := s.processes(); len(pids) > 0 {
				// It may be gone by itself by now, with its host.
				if syscall.Kill(pids[random.IntN(len(pids))], syscall.SIGKILL) == nil {
					plugins++
				}
			}
			continue
		}
		d.kill(t)
		hosts++
		d = s.start()
	}
	t.Logf("%d kills of the host, %d of the plugin in %s", hosts, plugins, time.Since(began).Round(time.Millisecond))
	s.await(store.RunProcessed)
	d.stop(t)
	require.Equal(t, want, s.contents())
	require.Empty(t, s.processes(), "no process is left")
}

// wait lets the daemon work for a while before it is killed.
func wait(t *testing.T, ms int) {
	t.Helper()
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-t.Context().Done():
	}
}
