package runner_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K11, F23
//
// Streams whose calls died with somebody else's twice run alone, not more of them
// at once than there may be processes for them, and are what they were before when
// they get on.
func TestTheInnocentAreFoundInnocent(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d", "e", "f"}
	s := &script{plan: planOf(names...)}
	s.manifest.Limits.PerRun = len(names)
	var now, most atomic.Int32
	deaths := map[string]int{}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		s.mu.Lock()
		deaths[call.Stream.ID]++
		died := deaths[call.Stream.ID] <= 2
		s.mu.Unlock()
		if died {
			return sdk.Outcome{}, errDied
		}
		if call.Page != nil {
			return sdk.Outcome{}, nil
		}
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		time.Sleep(time.Second) // the bubble's clock
		return sdk.Outcome{NextPage: []byte("2")}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.opts.Private = 2
		w.up()
		w.until(store.RunProcessed)
		require.Len(t, s.alone, len(names), "one call of each: with the next page it is no suspect any more")
		require.Equal(t, int32(2), most.Load())
		for _, st := range w.streams() {
			require.Zero(t, st.Interrupts)
			require.Zero(t, st.Crashes)
		}
	})
}

// rows: K11, F23, H15
//
// A process that a stream had to itself counts against it when it ends, until the
// stream gets on; one that it shared never does.
func TestOnlyACrashAloneIsPoison(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("poison", "half")}
	calls := map[string]int{}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		s.mu.Lock()
		calls[call.Stream.ID]++
		n := calls[call.Stream.ID]
		s.mu.Unlock()
		if call.Stream.ID == "half" { // dies twice with others, once alone, gets on, and so again
			if n%4 == 0 {
				if n == 12 {
					return sdk.Outcome{}, nil
				}
				return sdk.Outcome{NextPage: fmt.Append(nil, n)}, thing(ctx, out, fmt.Sprint(n))
			}
		}
		return sdk.Outcome{}, errDied
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunPartial)
		streams := w.streams()
		require.Equal(t, store.StreamProcessed, streams["half"].State)
		require.Equal(t, 12, calls["half"])
		poison := streams["poison"]
		require.Equal(t, store.StreamError, poison.State)
		require.Equal(t, 4, calls["poison"])
		require.Equal(t, 2, poison.Crashes)
		require.Contains(t, poison.Failure.Message, "had for this call alone is lost; it is the second to end so: given up")
	})
}

// rows: K11, F29
//
// Who waits for a process of its own does not keep the host from stopping, and pays
// nothing for it.
func TestASuspectThatWaitsGivesUpAtTheStop(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b")}
	calls := map[string]int{}
	s.process = func(ctx context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		s.mu.Lock()
		calls[call.Stream.ID]++
		died := calls[call.Stream.ID] <= 2
		s.mu.Unlock()
		if died {
			return sdk.Outcome{}, errDied
		}
		select { // longer than the test
		case <-time.After(50 * time.Second):
			return sdk.Outcome{}, nil
		case <-ctx.Done():
			return sdk.Outcome{}, ctx.Err()
		}
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.opts.Private = 1
		w.up()
		time.Sleep(10 * time.Second) // the bubble's clock: one has the place
		w.down()
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, 3+4, calls["a"]+calls["b"], "the one that waited was not called")
	})
}
