package sqlite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// Who watches a call is told of each of its changes, and of those of no other.
//
// rows: K16
func TestACallIsWatched(t *testing.T) {
	t.Parallel()
	clock := newClock(time.Now())
	_, b := openInbox(t, Options{Path: t.TempDir(), NoSync: true, Now: clock.now})
	ctx := t.Context()
	first, err := b.AcceptEvent(ctx, event(store.CallStarted, "u1"))
	require.NoError(t, err)
	changed, stop := b.WatchCall(first.Call.ID)
	told := func() bool {
		select {
		case <-changed:
			return true
		default:
			return false
		}
	}
	require.False(t, told())
	other := event(store.CallStarted, "u2")
	other.External = "c2"
	_, err = b.AcceptEvent(ctx, other)
	require.NoError(t, err)
	require.False(t, told(), "another call")

	for range 2 {
		claimed, ok, err := b.ClaimEvent(ctx, first.Call.ID)
		require.NoError(t, err)
		if ok {
			_, _, _, err = b.FinishEvent(ctx, store.EventOutcome{EventID: claimed.Event.ID, Attempts: 1, State: store.EventFailed})
			require.NoError(t, err)
		}
	}
	require.True(t, told(), "what became of an event")
	_, err = b.ResolveEvent(ctx, first.Event.ID, store.ResolveDrop, nil, store.CallLog{})
	require.NoError(t, err)
	require.True(t, told(), "what a person says")
	_, err = b.AcceptEvent(ctx, event(store.CallUpdated, "u3"))
	require.NoError(t, err)
	require.True(t, told(), "what happens")
	claimed, _, err := b.ClaimEvent(ctx, first.Call.ID)
	require.NoError(t, err)
	_, _, _, err = b.FinishEvent(ctx, store.EventOutcome{EventID: claimed.Event.ID, Attempts: 1, State: store.EventDone})
	require.NoError(t, err)
	require.True(t, told())
	clock.pass(store.CloseIdleCalls + time.Minute)
	_, err = b.PurgeCalls(ctx, time.Hour)
	require.NoError(t, err)
	require.True(t, told(), "its end")
	stop()
	require.Empty(t, b.watchers.of)
}
