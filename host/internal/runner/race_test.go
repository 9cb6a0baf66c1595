package runner_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K01, C08
func TestThePlanWaitsForWhatPreprocessMade(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanPreprocess}
	s.preprocess = func(context.Context, sdk.Run) ([]byte, error) { return []byte("prepared"), nil }
	var seen []string
	s.plan = func(_ context.Context, call sdk.PlanCall, _ *sdk.Emitter) error {
		seen = append(seen, string(call.Run.Preprocessed))
		return nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			done, err := apply(ctx, seg)
			if seg.Preprocessed != nil {
				time.Sleep(5 * time.Second) // committed, and the answer is slow
			}
			return done, err
		}
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, []string{"prepared"}, seen)
	})
}

// rows: K02, C11
func TestSettingsOfStreamsSideBySideAreAllKept(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("slow", "fast")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, out.Setting(ctx, call.Stream.ID, true)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		first := true
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if seg.Patch != nil && first {
				first = false
				time.Sleep(5 * time.Second) // the other would overtake it
			}
			return apply(ctx, seg)
		}
		w.up()
		w.until(store.RunProcessed)
		in, err := w.db.IntegrationByName(t.Context(), "acme", "one")
		require.NoError(t, err)
		require.JSONEq(t, `{"slow": true, "fast": true}`, string(in.Patch))
	})
}

// rows: K02
func TestSettingsOfARefusedSegmentAreNotKeptByAnother(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("bad", "good")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "good" {
			time.Sleep(time.Minute / 2) // the bubble's clock
		}
		return sdk.Outcome{}, out.Setting(ctx, call.Stream.ID, true)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		first := true
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if seg.Patch != nil && first {
				first = false
				return store.Applied{}, store.ErrRejected
			}
			return apply(ctx, seg)
		}
		w.up()
		w.until(store.RunPartial)
		in, err := w.db.IntegrationByName(t.Context(), "acme", "one")
		require.NoError(t, err)
		require.JSONEq(t, `{"good": true}`, string(in.Patch))
	})
}

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

// rows: K09, C04
func TestAPersonMayTryWhatNeedsToBeReconnected(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }
	inWorld(t, s, func(t *testing.T, w *world) {
		w.every = 5
		w.up()
		in := w.until(store.RunProcessed).IntegrationID
		require.NoError(t, w.db.SetIntegrationState(t.Context(), in, store.IntegrationNeedsReconnect, "token revoked"))
		time.Sleep(time.Hour) // the bubble's clock
		require.Len(t, s.calls(), 1, "the schedule rests")
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

// rows: K24, F03
func TestAnAbandonedCallThatComesBackHoldsNothing(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var late chan struct{} // made in the bubble
	data := []byte(`{"x":"` + strings.Repeat("x", 250<<10) + `"}`)
	back := 0
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Attempt < 2 { // hears nothing, and goes on as if nothing had been
			<-late
			for n := range 4 {
				_ = out.Record(context.WithoutCancel(ctx), sdk.Record{Kind: "late", ID: strconv.Itoa(n), Data: data})
				_ = out.Checkpoint(context.WithoutCancel(ctx), sdk.Checkpoint{Data: []byte("late")})
			}
			back++
			return sdk.Outcome{Cursor: []byte("late")}, nil
		}
		return sdk.Outcome{}, thing(ctx, out, "r")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		late = make(chan struct{})
		w.opts.Memory = 900 << 10
		w.up()
		time.Sleep(70 * time.Second) // the bubble's clock: past the silence and the grace
		late <- struct{}{}
		time.Sleep(2 * time.Minute) // the bubble's clock
		late <- struct{}{}
		run := w.until(store.RunProcessed)
		require.Equal(t, 2, back)
		require.Equal(t, int64(1), run.Stats.Read)
		require.Len(t, w.records(), 1)
	})
}

// rows: K24, K11
func TestWaitingForMemoryIsNotTheSilenceOfACall(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b", "c")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		for n := range 20 {
			time.Sleep(30 * time.Second) // the bubble's clock
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.opts.Memory = 300 << 10 // for one call at a time
		w.opts.CallTimeout = 11 * time.Minute
		w.up()
		w.until(store.RunProcessed)
		require.ElementsMatch(t, []string{"a  0", "b  0", "c  0"}, s.calls())
	})
}

// rows: C30, K18
func TestAttributesThatBeginARefreshDoNotBlockIt(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanCreateAttributes}
	var first error
	s.attributes = func(ctx context.Context) []sdk.Attribute {
		_, _, first = sdk.HostFrom(ctx).BeginRefresh(ctx, "oauth", 0)
		return nil // without a commit
	}
	var granted bool
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (_ sdk.Outcome, err error) {
		_, granted, err = sdk.HostFrom(ctx).BeginRefresh(ctx, "oauth", 0)
		return sdk.Outcome{}, err
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		start := time.Now()
		w.up()
		w.until(store.RunProcessed)
		require.NoError(t, first)
		require.True(t, granted)
		require.Less(t, time.Since(start), 5*time.Second)
	})
}

// rows: C30, K19
func TestAnAbandonedCallLosesItsRefresh(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var late chan error // made in the bubble
	var granted bool
	s.process = func(ctx context.Context, call sdk.StreamCall, _ *sdk.Emitter) (_ sdk.Outcome, err error) {
		_, granted, err = sdk.HostFrom(ctx).BeginRefresh(ctx, "oauth", 0)
		if call.Attempt == 0 {
			<-late
			_, err = sdk.HostFrom(ctx).CommitCredential(context.WithoutCancel(ctx), "oauth", 0, sdk.NewSecret("late"), time.Time{})
			late <- err
			return sdk.Outcome{}, err
		}
		return sdk.Outcome{}, err
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		late = make(chan error)
		start := time.Now()
		w.up()
		w.until(store.RunProcessed)
		require.True(t, granted)
		require.Less(t, time.Since(start), 2*time.Minute)
		late <- nil
		require.ErrorContains(t, <-late, "call_ended")
	})
}

// rows: K11, F02
func TestProgressForgivesDeaths(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	deaths := 0
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if deaths++; deaths > 5 {
			return sdk.Outcome{}, thing(ctx, out, "r")
		}
		if deaths == 3 { // the last that is allowed, but it got further
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("1")}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, errDied
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.opts.MaxDeaths = 3
		w.up()
		require.Equal(t, store.RunProcessed, w.until(store.RunProcessed, store.RunError).State)
		require.Equal(t, 6, deaths)
	})
}

// rows: K11, F09
func TestAFullDiskIsNoDeathOfThePlugin(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, thing(ctx, out, "r")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		refused, interrupts := 0, -1
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if len(seg.Records) > 0 && refused < 6 {
				refused++
				return store.Applied{}, store.ErrFull
			}
			if len(seg.Records) > 0 {
				stream, err := w.db.Stream(ctx, seg.StreamID)
				if err != nil {
					return store.Applied{}, err
				}
				interrupts = stream.Interrupts
			}
			return apply(ctx, seg)
		}
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, 6, refused)
		require.Equal(t, 1, interrupts, "that of the claim alone")
		require.Len(t, w.records(), 1)
	})
}

// rows: K18
func TestAPluginThatKnowsNoHandleDoesNotSpin(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		if len(s.calls()) > 1000 {
			return sdk.Outcome{}, nil // in a bubble no time would pass
		}
		return sdk.Outcome{}, errReopen
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		time.Sleep(time.Minute) // the bubble's clock
		require.Less(t, len(s.calls()), 200)
		require.Greater(t, len(s.calls()), 10, "it is tried again soon")
		require.Zero(t, w.streams()["a"].Attempts)
	})
}

// rows: C22, F19
func TestTheLongerSleepStands(t *testing.T) {
	t.Parallel()
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

// rows: C10, K10
func TestARunThatIsAbortedEndsItsCalls(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b")}
	var cancelled atomic.Bool
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Run.Kind == sdk.RunManual {
			return sdk.Outcome{}, nil
		}
		if call.Stream.ID == "a" {
			time.Sleep(time.Second) // the bubble's clock
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassAuth, Code: "invalid_auth", Message: "no", AbortRun: true}
		}
		if err := sdk.HostFrom(ctx).Progress(ctx, "long", time.Now().Add(9*time.Minute)); err != nil {
			return sdk.Outcome{}, err
		}
		select {
		case <-ctx.Done():
			cancelled.Store(true)
		case <-time.After(9 * time.Minute):
		}
		return sdk.Outcome{}, thing(context.WithoutCancel(ctx), out, "late")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunError)
		asked, _, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: run.IntegrationID, Class: store.ClassPull, Kind: store.RunManual})
		require.NoError(t, err)
		time.Sleep(10 * time.Second) // the bubble's clock
		next, err := w.db.Run(t.Context(), asked.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunProcessed, next.State, "the next run does not wait for what is worth nothing")
		require.True(t, cancelled.Load())
		require.Empty(t, w.records())
	})
}

// rows: K24
func TestProgressDoesNotWakeAWatchdogThatRests(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		host := sdk.HostFrom(ctx)
		told := make(chan error, 1)
		go func() { // as an HTTP client does that runs beside
			time.Sleep(time.Second) // the bubble's clock
			told <- host.Progress(ctx, "loading", time.Now().Add(time.Second))
		}()
		for n := range 3 { // the third waits for the store
			if err := out.Send(ctx, sdk.Batch{Records: []sdk.Record{{Kind: "thing", ID: strconv.Itoa(n), Data: []byte(`{"x":"` + strings.Repeat("x", 900<<10) + `"}`)}}}); err != nil {
				return sdk.Outcome{}, err
			}
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, <-told
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		slow := true
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if len(seg.Records) > 0 && slow {
				slow = false
				time.Sleep(3 * time.Minute) // the bubble's clock
			}
			return apply(ctx, seg)
		}
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, []string{"a  0"}, s.calls(), "the host made it wait")
	})
}

// rows: K24, F03
func TestWhatWasPromisedOutlivesABatch(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if err := sdk.HostFrom(ctx).Progress(ctx, "exporting", time.Now().Add(5*time.Minute)); err != nil {
			return sdk.Outcome{}, err
		}
		if err := thing(ctx, out, "r"); err != nil {
			return sdk.Outcome{}, err
		}
		if err := out.Flush(ctx); err != nil {
			return sdk.Outcome{}, err
		}
		time.Sleep(4 * time.Minute) // the bubble's clock
		return sdk.Outcome{}, ctx.Err()
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, []string{"a  0"}, s.calls())
	})
}

// rows: K01
func TestAPlanOfManyMegabytesNeedsNoCheckpoint(t *testing.T) {
	t.Parallel()
	s := &script{}
	data := []byte(strings.Repeat("x", 60<<10))
	s.plan = func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		for n := range 200 {
			if err := out.Stream(ctx, sdk.Stream{ID: strconv.Itoa(n), Connector: "things", Data: data}); err != nil {
				return err
			}
		}
		return nil
	}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed, store.RunError)
		require.Equal(t, store.RunProcessed, run.State)
		require.Equal(t, int64(200), run.Streams.Total())
	})
}

// rows: C02, K12
func TestASleepingRunDoesNotEatTheOnlyTick(t *testing.T) {
	t.Parallel()
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

// rows: K03
func TestACursorNeedsAPartition(t *testing.T) {
	t.Parallel()
	s := &script{plan: func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		return out.Stream(ctx, sdk.Stream{ID: "a", Connector: "things"}) // owns none
	}}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{Cursor: []byte("everybody's")}, thing(ctx, out, "r")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunError)
		require.Equal(t, "apply_rejected", w.streams()["a"].Failure.Code)
		require.Empty(t, w.records())
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

// rows: C31, F29
func TestNothingBeginsAfterTheStop(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var busy chan struct{} // made in the bubble
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		busy <- struct{}{}
		for n := range 100 {
			time.Sleep(time.Second) // the bubble's clock
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, nil
	}
	s.manifest.Limits.Concurrency = 1
	inWorld(t, s, func(t *testing.T, w *world) {
		busy = make(chan struct{}, 10)
		w.up()
		<-busy
		w.create("two")             // waits for the plugin's only place
		time.Sleep(5 * time.Second) // the bubble's clock
		w.down()
		require.NotContains(t, s.openedBy(), "two")
	})
}
