package runner_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// startTimes remembers when each integration was worked on.
type startTimes struct {
	mu sync.Mutex
	at map[string][]time.Time
}

func (p *startTimes) keep(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at = map[string][]time.Time{}
	}
	p.at[name] = append(p.at[name], time.Now())
}

// rows: C05, O16
func TestD23ChecksAreSpreadAndStaySoAfterARestart(t *testing.T) {
	t.Parallel()
	long(t)
	const many, every = 250, 60
	var starts startTimes
	s := &script{plan: func(context.Context, sdk.PlanCall, *sdk.Emitter) error { return nil }}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.claims = 1 << 20
		w.onWork = func(l store.Lane) { starts.keep(fmt.Sprint(l.IntegrationID)) }
		w.up()
		begin := time.Now()
		changes := make([]store.Change, many)
		for i := range changes {
			changes[i] = store.Change{Op: store.ChangeCreate, UID: fmt.Sprintf("%016x", i), Sync: true, Spec: store.IntegrationSpec{
				Tenant: "acme", Name: fmt.Sprintf("i%d", i), Plugin: "script", Connectors: []string{"things"}, Every: every,
				Enabled: true, Settings: []byte(`{}`), SettingsSum: []byte("s"),
			}}
		}
		require.NoError(t, w.db.ApplyChanges(t.Context(), changes))
		time.Sleep(every/4*time.Minute - time.Since(begin)) // the bubble's clock
		synctest.Wait()
		require.GreaterOrEqual(t, len(starts.at), many, "the first run of each is at once")
		time.Sleep(every / 2 * time.Minute) // the bubble's clock
		w.down()
		time.Sleep(time.Minute) // the bubble's clock
		restart := time.Now()
		w.up()
		time.Sleep(9 * every / 4 * time.Minute) // the bubble's clock
		synctest.Wait()
		late := 0
		for _, at := range starts.at {
			for _, when := range at {
				if since := when.Sub(restart); since >= 0 && since < time.Minute {
					late++
				}
			}
		}
		require.Positive(t, late)
		require.LessOrEqual(t, late, 2*many/every+4, "with the restart come those that it kept waiting, and those whose time it is")
		minutes := map[time.Time]int{}
		for name, at := range starts.at {
			for n, when := range at {
				if when.Sub(begin) > 3*every/2*time.Minute { // the first checks were before, with the restart
					minutes[when.Truncate(time.Minute)]++
					if at[n-1].Sub(begin) > every*time.Minute { // not late for the restart
						require.InDelta(t, every*time.Minute, when.Sub(at[n-1]), float64(time.Second), "integration %s", name)
					}
				}
			}
		}
		require.Greater(t, len(minutes), 3*every/2)
		for minute, n := range minutes {
			require.LessOrEqual(t, n, many/every+2, "checks in the minute %v", minute)
		}
	})
}
