package callbox

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// What waited when a backup was made may have been done since. After it is restored the
// remote system is asked before anything is sent: what it has is not made again, and what
// it has not is made. It is told from what a killed host left, of which more is known.
//
// rows: F31, I08, K16
func TestWhatWaitedInABackupIsAskedAboutFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var mu sync.Mutex // guards what follows
		phase, has := "down", map[string]bool{}
		sent, asked := map[string]int{}, map[string]int{}
		w.hooks.run = func(_ context.Context, job Job) Result {
			mu.Lock()
			defer mu.Unlock()
			call := job.Call.External
			switch {
			case phase == "down":
				return Result{Err: refused(sdk.ClassTransient, store.OutcomeNotSent)}
			case job.Ask:
				asked[call+" "+job.Event.Error.Code]++
				require.False(t, job.Cut, "of one that was restored nobody kept what was sent")
				require.Zero(t, sent[call+phase], "it is asked first")
				if has[call] {
					return Result{Answer: sdk.CallAnswer{ID: "made-" + call}, Asks: true}
				}
				return Result{Asks: true}
			}
			sent[call+phase]++
			has[call] = true
			return Result{Answer: sdk.CallAnswer{ID: "made-" + call}, Asks: true}
		}
		for _, call := range []string{"a", "b"} {
			require.Equal(t, store.EventQueued, w.send(fire(store.TicketCreate, call), "", time.Minute).Event.State)
		}
		file := filepath.Join(t.TempDir(), "copy.db")
		_, err := w.db.Backup(t.Context(), file)
		require.NoError(t, err)
		mu.Lock()
		phase = "up"
		mu.Unlock()
		w.settled(time.Hour)
		synctest.Wait()
		require.Len(t, sent, 2)
		require.Empty(t, asked)
		w.stop()

		_, err = sqlite.Restore(context.Background(), w.dir, file, time.Now())
		require.NoError(t, err)
		phase, has = "restored", map[string]bool{"a": true} // b was deleted there
		w.start()
		require.Eventually(t, func() bool {
			n, err := w.inbox.CallCounts(t.Context())
			require.NoError(t, err)
			return n.Open+n.Unknown == 0
		}, time.Hour, time.Second)
		synctest.Wait()
		require.Equal(t, map[string]int{"a restored": 1, "b restored": 1}, asked)
		require.Zero(t, sent["a"+phase], "it is there")
		require.Equal(t, 1, sent["b"+phase])
		_, events := w.call("a")
		require.Equal(t, store.EventDone, events[0].State)
		require.Contains(t, string(events[0].Answer), "made-a")
		w.sound()
	})
}

// A hook that is told to wait by the remote system waits as long as that says, whatever
// its own delays are, and nobody is told that it failed.
//
// rows: O40
func TestAHookWaitsOutARateLimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var tries []time.Time
		w.hooks.run = func(context.Context, Job) Result {
			mu.Lock()
			defer mu.Unlock()
			if tries = append(tries, time.Now()); len(tries) > 1 {
				return Result{Answer: sdk.CallAnswer{ID: "L"}}
			}
			limit := refused(sdk.ClassRateLimited, store.OutcomeFailed)
			limit.RetryAfter = 7 * time.Minute
			return Result{Steps: []store.HookStep{write("log", limit)}, Err: limit}
		}
		sent := w.send(fire(store.CallEnded, "a"), "", time.Minute)
		require.Equal(t, store.EventQueued, sent.Event.State)
		w.settled(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, tries, 2)
		require.GreaterOrEqual(t, tries[1].Sub(tries[0]), 7*time.Minute)
		c, events := w.call("a")
		require.Equal(t, store.EventDone, events[0].State)
		require.Equal(t, "L", c.Log.ID)
		w.sound()
	})
}
