package runner_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K09, K12
func TestARunThatWaitsLetsTheOtherGoOn(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		if call.Run.Params != nil {
			return planOf("manual")(ctx, call, out)
		}
		var ids []string
		for n := range 20 {
			ids = append(ids, strconv.Itoa(n))
		}
		return planOf(ids...)(ctx, call, out)
	}
	var reached chan struct{} // made in the bubble
	var asked, done time.Time
	between := 0
	s.process = func(_ context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		switch {
		case call.Stream.ID == "manual" && call.Attempt == 0:
			return sdk.Outcome{}, errors.New("come again")
		case call.Stream.ID == "manual":
			done = time.Now()
		case call.Stream.ID == "3":
			close(reached)
		case !asked.IsZero() && done.IsZero():
			between++
		}
		time.Sleep(4 * time.Second) // the bubble's clock
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		reached = make(chan struct{})
		w.conc = 1
		w.up()
		<-reached
		asked = time.Now()
		long := w.run()
		manual, _, err := w.db.RequestRun(t.Context(), store.RunRequest{
			IntegrationID: long.IntegrationID, Class: store.ClassPull, Kind: store.RunManual,
			Params: map[string]string{"channel": "c1"}, ParamsSum: "c1",
		})
		require.NoError(t, err)
		for {
			first, err := w.db.Run(t.Context(), manual.ID)
			require.NoError(t, err)
			rest, err := w.db.Run(t.Context(), long.ID)
			require.NoError(t, err)
			if first.State == store.RunProcessed && rest.State == store.RunProcessed {
				break
			}
			require.Less(t, time.Since(asked), time.Hour)
			time.Sleep(time.Second) // the bubble's clock
		}
		require.Less(t, w.works.Load(), int32(50), "nobody spins while a retry is awaited")
		require.Positive(t, between, "the other run goes on meanwhile")
		require.Less(t, done.Sub(asked), 25*time.Second, "and gives way when the retry is due")
	})
}

// Of credentials that are refused people are told once, in however many words the remote
// system says it; no run begins by itself from then on, and a person may try one.
//
// rows: K09, C04, O42
func TestAPersonMayTryWhatNeedsToBeReconnected(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }
	inWorld(t, s, func(t *testing.T, w *world) {
		w.every = 5
		w.up()
		in := w.until(store.RunProcessed).IntegrationID
		for _, trace := range []string{"1", "1", "2"} {
			require.NoError(t, w.db.SetIntegrationState(t.Context(), in, store.IntegrationNeedsReconnect, "token revoked, trace "+trace))
		}
		time.Sleep(time.Hour) // the bubble's clock
		require.Len(t, s.calls(), 1, "the schedule rests")
		told, err := w.db.RecentEvents(t.Context(), store.EventFilter{Kind: "integration.needs-reconnect"})
		require.NoError(t, err)
		require.Len(t, told, 1)
		now, err := w.db.IntegrationByID(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, "token revoked, trace 2", now.Reason)
		asked, _, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: in, Class: store.ClassPull, Kind: store.RunManual})
		require.NoError(t, err)
		time.Sleep(time.Minute) // the bubble's clock
		run, err := w.db.Run(t.Context(), asked.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunProcessed, run.State)
		require.NoError(t, w.db.SetIntegrationState(t.Context(), in, store.IntegrationWaitingApproval, "new rights"))
		time.Sleep(time.Hour) // the bubble's clock
		require.Less(t, w.works.Load(), int32(20))
	})
}

// rows: K13
func TestALaneGoesToTheEndOfItsClass(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		var ids []string
		for n := range 60 {
			ids = append(ids, strconv.Itoa(n))
		}
		return planOf(ids...)(ctx, call, out)
	}
	var two chan struct{} // made in the bubble
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		s.mu.Lock()
		if n := len(s.opened); s.opened[n-1].Name == "two" && len(two) == 0 {
			two <- struct{}{}
		}
		s.mu.Unlock()
		time.Sleep(5 * time.Second) // the bubble's clock
		return sdk.Outcome{}, ctx.Err()
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		two = make(chan struct{}, 1)
		w.conc, w.slots = 1, 1
		w.up()
		time.Sleep(8 * time.Second) // the bubble's clock
		w.create("two")
		time.Sleep(time.Minute) // the bubble's clock
		require.Len(t, two, 1, "after a quantum it is the other's turn")
	})
}

// rows: C22, F19
func TestTheLongerSleepStands(t *testing.T) {
	t.Parallel()
	long(t)
	var started, resumed time.Time
	s := &script{plan: planOf("a", "b", "c")}
	s.process = func(_ context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		switch call.Stream.ID {
		case "a":
			started = time.Now()
			return sdk.Outcome{Sleep: time.Hour}, nil
		case "b": // was called before that
			time.Sleep(time.Second) // the bubble's clock
			return sdk.Outcome{Sleep: time.Minute}, nil
		default:
			resumed = time.Now()
			return sdk.Outcome{}, nil
		}
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 2
		w.up()
		w.until(store.RunProcessed)
		require.InDelta(t, time.Hour, resumed.Sub(started), float64(2*time.Second))
	})
}

// rows: C02, K12
func TestASleepingRunDoesNotEatTheOnlyTick(t *testing.T) {
	t.Parallel()
	long(t)
	s := &script{plan: planOf("a", "b")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{Sleep: 10 * time.Minute}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 1
		w.up()
		w.until(store.RunDelayed)
		in := w.run().IntegrationID
		_, err := w.db.CancelRun(t.Context(), w.run().ID, "by a test")
		require.NoError(t, err)
		_, _, err = w.db.RequestRun(t.Context(), store.RunRequest{
			IntegrationID: in, Class: store.ClassPull, Kind: store.RunManual, Params: map[string]string{"x": "1"}, ParamsSum: "1",
		})
		require.NoError(t, err)
		w.until(store.RunDelayed)
		one, err := w.db.IntegrationByID(t.Context(), in)
		require.NoError(t, err)
		require.NoError(t, w.db.ApplyChanges(t.Context(), []store.Change{{Op: store.ChangeUpdate, UID: one.UID, Spec: one.IntegrationSpec, Sync: true}}))
		w.until(store.RunProcessed)
		time.Sleep(time.Hour) // the bubble's clock
		require.Equal(t, store.RunOnboarding, w.run().Kind)
		require.Equal(t, store.RunProcessed, w.run().State)
		require.Less(t, w.works.Load(), int32(30))
	})
}

// rows: K13
func TestAFullPluginHoldsNoSlotOfAnother(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		if err := sdk.HostFrom(ctx).Progress(ctx, "long", time.Now().Add(9*time.Minute)); err != nil {
			return sdk.Outcome{}, err
		}
		select {
		case <-ctx.Done():
			return sdk.Outcome{}, ctx.Err()
		case <-time.After(9 * time.Minute): // the bubble's clock
			return sdk.Outcome{}, nil
		}
	}
	s.manifest.Limits.Concurrency = 1
	inWorld(t, s, func(t *testing.T, w *world) {
		w.slots, w.opts.Quantum = 4, 15*time.Second
		w.up()
		for _, name := range []string{"b", "cc", "ddd", "eeee", "fffff"} {
			w.create(name) // each waits for the plugin's only place
		}
		time.Sleep(5 * time.Second) // the bubble's clock
		w.plugName = "other"
		w.create("quick")
		time.Sleep(time.Minute) // the bubble's clock
		require.Contains(t, s.openedBy(), "quick")
		w.down()
	})
}
