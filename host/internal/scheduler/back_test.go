package scheduler_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/scheduler"
	"github.com/jackfield/jackfield/store"
)

// rows: K09, K13
//
// A lane that its worker has given back is not given back again. It says when it is
// due, so that nobody looks at the others for it, and is claimed then.
func TestALaneThatItsWorkerGaveBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		gives bool
		looks int // at its end
	}{"by the worker": {true, 0}, "by the scheduler": {false, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const hour = time.Hour
				b := setup(t, scheduler.Options{Lease: 9 * hour, Idle: 2 * hour})
				b.db.add(1, store.PrioCheck, 0)
				b.db.add(2, store.PrioCheck, hour)
				b.run(t)
				w := within(t, b.works)
				synctest.Wait()
				begun, looks := time.Now(), b.db.seen()
				b.db.add(1, store.PrioCheck, hour/2)
				if c.gives {
					w.hold.GaveBack(begun.Add(hour / 2))
				}
				close(w.done)
				synctest.Wait()
				require.Equal(t, c.looks, b.db.seen()-looks)
				require.Len(t, b.db.given(), 1-b2i(c.gives))
				for n, id := range []int64{1, 2} {
					w = within(t, b.works)
					require.Equal(t, id, w.lane.ID)
					require.Equal(t, time.Duration(n+1)*hour/2, time.Since(begun))
					w.hold.GaveBack(time.Time{})
					close(w.done)
				}
				looks = b.db.seen()
				b.db.add(3, store.PrioCheck, 0)
				b.s.Wake()
				require.Equal(t, int64(3), within(t, b.works).lane.ID, "a wake-up is a reason to look")
				require.Greater(t, b.db.seen(), looks)
				b.stop()
				require.NoError(t, within(t, b.ended))
			})
		})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
