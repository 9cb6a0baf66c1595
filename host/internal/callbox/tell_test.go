package callbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// A person is told of a write that is unknown, once, though it is asked about in vain
// and the host ends and begins; if nobody could be told it is told later.
//
// rows: F31, I08
func TestAPersonIsToldOfAnUnknownWriteOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.stop()
		var mu sync.Mutex
		list, broken := []store.UnknownWrite{}, true
		w.opts.Unknown = func(_ context.Context, u store.UnknownWrite) error {
			mu.Lock()
			defer mu.Unlock()
			if broken {
				return errors.New("the disk is full")
			}
			list = append(list, u)
			return nil
		}
		told := func() []store.UnknownWrite {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(list)
		}
		w.start()
		w.hooks.run = func(_ context.Context, job Job) Result {
			return Result{Err: refused(sdk.ClassTransient, store.OutcomeUnknown), Asks: true}
		}
		sent := w.send(fire(store.CallConnected, "a"), "", time.Minute)
		require.Equal(t, store.EventUnknown, sent.Event.State)
		<-time.After(10 * time.Minute)
		require.Empty(t, told())
		mu.Lock()
		broken = false
		mu.Unlock()
		<-time.After(2 * time.Hour)
		require.Equal(t, []store.UnknownWrite{{Event: sent.Event.ID, Call: "a", Type: store.CallConnected, Code: "crm", Message: "the CRM", Integration: "i1"}}, told())
		w.stop()
		w.start()
		<-time.After(time.Hour)
		require.Len(t, told(), 1)
		w.cut("b", nil, sdk.CallAnswer{}) // a kill leaves one, too
		<-time.After(time.Hour)
		require.Len(t, told(), 2)
		require.Equal(t, store.CodeInterrupted, told()[1].Code)
		w.sound()
	})
}
