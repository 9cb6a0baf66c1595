package runner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: C02, C08, C11, K01, K03
func TestOnboardingFromPlanToPostprocess(t *testing.T) {
	t.Parallel()
	preprocessed := 0
	s := &script{plan: planOf("a", "b")}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanPreprocess, sdk.CanPostprocess}
	s.preprocess = func(_ context.Context, run sdk.Run) ([]byte, error) {
		preprocessed++
		require.True(t, run.Onboarding)
		return []byte("prepared"), nil
	}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		require.True(t, call.Run.Onboarding)
		require.Equal(t, "prepared", string(call.Run.Preprocessed))
		return sdk.Outcome{Cursor: []byte("at " + call.Stream.ID)}, thing(ctx, out, call.Stream.ID)
	}
	s.postprocess = func(context.Context, sdk.Run) (map[string][]byte, error) {
		return map[string][]byte{"seen": []byte("1")}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed)
		require.Equal(t, store.RunOnboarding, run.Kind)
		require.False(t, run.PlannedAt.IsZero())
		require.Equal(t, 1, preprocessed)
		require.Len(t, w.records(), 2)
		require.Equal(t, int64(2), run.Stats.Added)
		in, err := w.db.IntegrationByName(t.Context(), "acme", "one")
		require.NoError(t, err)
		require.NotEmpty(t, in.Patch, "what postprocess returned is kept")
		require.False(t, in.OnboardedAt.IsZero())
	})
}

// rows: C10, D01
func TestAPlanThatFailsIsAnErrorNeverProcessed(t *testing.T) {
	t.Parallel()
	s := &script{plan: func(context.Context, sdk.PlanCall, *sdk.Emitter) error {
		return &sdk.Error{Class: sdk.ClassAuth, Code: "invalid_auth", Message: "the token was revoked"}
	}}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunError, store.RunProcessed)
		require.Equal(t, store.RunError, run.State)
		require.Equal(t, "get_streams", run.Failure.Point)
		require.Equal(t, "invalid_auth", run.Failure.Code)
	})
}

// rows: C18, C19, C46, K08
func TestChildrenAndPages(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("root")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID != "root" {
			return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
		}
		page, _ := strconv.Atoi(string(call.Page))
		if err := thing(ctx, out, "page"+strconv.Itoa(page)); err != nil {
			return sdk.Outcome{}, err
		}
		// The same child from each page is one child.
		if err := out.Stream(ctx, sdk.Stream{ID: "child", Connector: "things"}); err != nil {
			return sdk.Outcome{}, err
		}
		if page == 9 {
			return sdk.Outcome{}, nil
		}
		return sdk.Outcome{NextPage: []byte(strconv.Itoa(page + 1))}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed)
		require.Equal(t, int64(2), run.Streams.Total(), "ten pages are one stream")
		require.Len(t, w.records(), 11)
		all := w.streams()
		require.Equal(t, store.StreamChild, all["child"].Type)
		require.Equal(t, all["root"].ID, all["child"].ParentID)
	})
}

// rows: K02, C32, F02
func TestACrashGoesOnAtTheLastCheckpoint(t *testing.T) {
	t.Parallel()
	died := false
	s := &script{plan: planOf("a")}
	var emitted []string
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		at, _ := strconv.Atoi(string(call.Checkpoint))
		for n := at; n < 10; n++ {
			if n == 7 && !died {
				died = true
				return sdk.Outcome{}, errDied
			}
			emitted = append(emitted, strconv.Itoa(n))
			if err := thing(ctx, out, "r"+strconv.Itoa(n)); err != nil {
				return sdk.Outcome{}, err
			}
			if n%5 == 4 {
				if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n + 1))}); err != nil {
					return sdk.Outcome{}, err
				}
			}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed)
		require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "5", "6", "7", "8", "9"}, emitted)
		require.Equal(t, int64(10), run.Stats.Read, "what followed the last checkpoint was discarded")
		require.Zero(t, w.streams()["a"].Attempts, "a death is no attempt")
	})
}

// rows: C27, C28, D02, D10, O22, F23
func TestOneStreamFailsForGoodTheOthersGoOn(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("bad", "good")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "bad" {
			return sdk.Outcome{}, errors.New("boom")
		}
		return sdk.Outcome{}, thing(ctx, out, "good")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunPartial, store.RunProcessed, store.RunError)
		require.Equal(t, store.RunPartial, run.State)
		require.Equal(t, int64(1), run.Streams.Error)
		require.Equal(t, int64(1), run.Streams.Processed)
		var tries []string
		for _, c := range s.calls() {
			if c[:3] == "bad" {
				tries = append(tries, c)
			}
		}
		require.Equal(t, []string{"bad  0", "bad  1", "bad  2", "bad  3", "bad  4", "bad  5"}, tries)
		bad := w.streams()["bad"]
		require.Equal(t, store.StreamError, bad.State)
		require.Equal(t, "boom", bad.Failure.Message)
		require.Equal(t, 6, bad.Failure.Attempt)
	})
}

// rows: C28, D02
func TestNothingProcessedIsAnError(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassConfig, Code: "bad", Message: "no"}
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		require.Equal(t, store.RunError, w.until(store.RunError, store.RunPartial, store.RunProcessed).State)
	})
}

// rows: C22, D03, F19
func TestSleepDelaysTheRestExactly(t *testing.T) {
	t.Parallel()
	var at []time.Time
	s := &script{plan: planOf("a", "b")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		at = append(at, time.Now())
		return sdk.Outcome{Sleep: 10 * time.Minute}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 1
		w.up()
		delayed := w.until(store.RunDelayed)
		require.Len(t, w.records(), 1, "what came with the sleep is stored")
		require.Equal(t, int64(1), delayed.Streams.Processed)
		w.down() // a restart does not shorten it
		w.up()
		w.until(store.RunProcessed)
		require.Len(t, at, 2, "nothing is fetched twice")
		require.InDelta(t, 10*time.Minute, at[1].Sub(at[0]), float64(time.Second))
	})
}

// rows: C26, C51, K14
func TestARateLimitDelaysItsKeyAlone(t *testing.T) {
	t.Parallel()
	limited := false
	var resumed time.Time
	start := time.Time{}
	s := &script{}
	s.plan = func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		start = time.Now()
		for _, id := range []string{"a1", "a2", "b1"} {
			if err := out.Stream(ctx, sdk.Stream{ID: id, Connector: "things", LimitKey: id[:1]}); err != nil {
				return err
			}
		}
		return nil
	}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "a1" && !limited {
			limited = true
			return sdk.Outcome{}, sdk.RateLimitedFor(5 * time.Minute)
		}
		if call.Stream.LimitKey == "a" && resumed.IsZero() {
			resumed = time.Now()
		}
		require.Zero(t, call.Attempt, "a rate limit costs no attempt")
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 1
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, []string{"a1  0", "b1  0"}, s.calls()[:2], "the other key goes on")
		require.ElementsMatch(t, []string{"a1  0", "a2  0"}, s.calls()[2:], "its own waits, with its sibling")
		require.InDelta(t, 5*time.Minute, resumed.Sub(start), float64(time.Second))
	})
}

// rows: C20, C21, D06
func TestFinishedEndsThatStreamAlone(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := &script{plan: planOf("a", "b")}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanFinish}
	var asked []sdk.FinishedCall
	s.finished = func(_ context.Context, call sdk.FinishedCall) (bool, error) {
		asked = append(asked, call)
		return call.Stream.ID == "a", nil
	}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		page, _ := strconv.Atoi(string(call.Page))
		if page == 2 {
			return sdk.Outcome{}, nil
		}
		return sdk.Outcome{NextPage: []byte(strconv.Itoa(page + 1)), LastRecord: "m9", LastRecordTimestamp: when}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc, w.every = 1, 20
		w.up()
		w.until(store.RunProcessed)
		require.Empty(t, asked, "not in onboarding")
		onboarding := len(s.calls())
		require.Equal(t, 6, onboarding)
		first := w.run().ID
		for w.run().ID == first || w.run().State != store.RunProcessed {
			time.Sleep(time.Second) // the bubble's clock
		}
		require.Equal(t, store.RunCheck, w.run().Kind)
		require.Len(t, s.calls()[onboarding:], 4, "a ends after a page, b goes on")
		require.Equal(t, "m9", asked[0].LastRecord)
		require.True(t, when.Equal(asked[0].LastRecordTimestamp))
		require.NotEmpty(t, asked[0].NextPage)
	})
}

// rows: C03, D08, O14
func TestTicksSurviveARestart(t *testing.T) {
	t.Parallel()
	var at []time.Time
	s := &script{plan: func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		at = append(at, time.Now())
		return out.Stream(ctx, sdk.Stream{ID: "a", Connector: "things"})
	}}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }
	inWorld(t, s, func(t *testing.T, w *world) {
		w.every = 20
		w.up()
		w.until(store.RunProcessed)
		time.Sleep(15 * time.Minute) // the bubble's clock
		w.down()
		w.up()
		for len(at) < 3 {
			time.Sleep(time.Second)
		}
		require.InDelta(t, 20*time.Minute, at[1].Sub(at[0]), float64(time.Second), "the last check's time was kept")
		require.InDelta(t, 20*time.Minute, at[2].Sub(at[1]), float64(time.Second))
	})
}

// rows: C31, F29
func TestAStopReturnsStreamsToPendingAndTheRunResumes(t *testing.T) {
	t.Parallel()
	var reached chan struct{} // made in the bubble
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		at, _ := strconv.Atoi(string(call.Checkpoint))
		for n := at; n < 20; n++ {
			if err := thing(ctx, out, fmt.Sprintf("r%02d", n)); err != nil {
				return sdk.Outcome{}, err
			}
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n + 1))}); err != nil {
				return sdk.Outcome{}, err
			}
			if n == 10 {
				reached <- struct{}{}
			}
			time.Sleep(time.Second) // the bubble's clock
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		reached = make(chan struct{}, 1)
		w.up()
		<-reached
		before := time.Now()
		w.down()
		require.Less(t, time.Since(before), 5*time.Second, "it yields at the next checkpoint")
		w.up()
		stream := w.streams()["a"]
		require.Zero(t, stream.Attempts)
		require.Zero(t, stream.Interrupts, "an orderly stop costs nothing")
		run := w.until(store.RunProcessed)
		require.Equal(t, int64(20), run.Stats.Read, "nothing was read twice")
		require.Len(t, w.records(), 20)
	})
}

// rows: C54, O50
func TestStreamsRunInParallelUpToTheCap(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	s := &script{plan: planOf("a", "b", "c", "d", "e", "f", "g", "h")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		n := now.Add(1)
		for {
			have := most.Load()
			if n <= have || most.CompareAndSwap(have, n) {
				break
			}
		}
		time.Sleep(time.Minute / 2) // the bubble's clock
		now.Add(-1)
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 3
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, int32(3), most.Load())
	})
}

// rows: K24, F25
func TestASegmentWithoutACheckpointHasACap(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		data := slices.Concat([]byte(`{"x":"`), make([]byte, 1000), []byte(`"}`))
		for i := range data {
			if data[i] == 0 {
				data[i] = 'x'
			}
		}
		for n := range 4000 {
			if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: strconv.Itoa(n), Data: data}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunError)
		require.Equal(t, "checkpoint_required", w.streams()["a"].Failure.Code)
		require.Zero(t, run.Stats.Read)
		require.Empty(t, w.records())
	})
}

// rows: F03, K24
func TestASilentCallIsGivenUp(t *testing.T) {
	t.Parallel()
	calls := 0
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		calls++
		switch calls {
		case 1:
			<-ctx.Done()
			return sdk.Outcome{}, ctx.Err()
		case 2: // says that it is alive
			for range 5 {
				until := time.Now().Add(2 * time.Minute)
				if err := sdk.HostFrom(ctx).Progress(ctx, "waiting", until); err != nil {
					return sdk.Outcome{}, err
				}
				time.Sleep(100 * time.Second) // the bubble's clock
			}
		}
		return sdk.Outcome{}, thing(ctx, out, "r")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		start := time.Now()
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, 2, calls, "the second was let live")
		require.Greater(t, time.Since(start), 9*time.Minute)
		require.Len(t, w.records(), 1)
	})
}

// rows: C09
func TestAttributesAreAskedForOnce(t *testing.T) {
	t.Parallel()
	asked := 0
	s := &script{plan: planOf()}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanCreateAttributes}
	s.attributes = func() []sdk.Attribute {
		asked++
		return []sdk.Attribute{{Name: "title", Label: "Title", Type: "string"}}
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunProcessed)
		w.create("two")
		w.until(store.RunProcessed)
		require.Equal(t, 1, asked)
		s.manifest.Version = "2.0.0"
		w.create("three")
		w.until(store.RunProcessed)
		require.Equal(t, 2, asked, "a new version may have others")
	})
}

// rows: K12, C55, O17, O19
func TestAParameterisedRunGoesFirstAndTheOtherGoesOn(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var reached chan struct{} // made in the bubble
	var order []string
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Run.Params["channel"] != "" {
			order = append(order, "manual "+call.Run.Params["channel"])
			return sdk.Outcome{}, nil
		}
		at, _ := strconv.Atoi(string(call.Checkpoint))
		for n := at; n < 10; n++ {
			order = append(order, strconv.Itoa(n))
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n + 1))}); err != nil {
				return sdk.Outcome{}, err
			}
			if n == 3 {
				reached <- struct{}{}
			}
			time.Sleep(time.Second) // the bubble's clock
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		reached = make(chan struct{}, 1)
		w.up()
		<-reached
		long := w.run()
		_, created, err := w.db.RequestRun(t.Context(), store.RunRequest{
			IntegrationID: long.IntegrationID, Class: store.ClassPull, Kind: store.RunManual,
			Params: map[string]string{"channel": "c1"}, ParamsSum: "c1",
		})
		require.NoError(t, err)
		require.True(t, created)
		require.Equal(t, store.RunManual, w.until(store.RunProcessed).Kind)
		again, created, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: long.IntegrationID, Class: store.ClassPull, Kind: store.RunManual})
		require.NoError(t, err)
		require.False(t, created, "without parameters it answers the open one")
		require.Equal(t, long.ID, again.ID)
		for {
			run, err := w.db.Run(t.Context(), long.ID)
			require.NoError(t, err)
			if run.State == store.RunProcessed {
				break
			}
			time.Sleep(time.Second) // the bubble's clock
		}
		require.Equal(t, []string{"0", "1", "2", "3", "4", "manual c1", "5", "6", "7", "8", "9"}, order)
	})
}

// rows: K10, C52
func TestCancelEndsTheWorkAtOnce(t *testing.T) {
	t.Parallel()
	var started chan struct{} // made in the bubble
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		close(started)
		<-ctx.Done()
		// A late result of work that was taken away writes nothing.
		return sdk.Outcome{}, thing(context.WithoutCancel(ctx), out, "late")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		started = make(chan struct{})
		w.up()
		<-started
		before := time.Now()
		_, err := w.db.CancelRun(t.Context(), w.run().ID, "by a test")
		require.NoError(t, err)
		time.Sleep(time.Second) // the bubble's clock
		require.Equal(t, store.RunCancelled, w.run().State)
		require.Equal(t, store.StreamCancelled, w.streams()["a"].State)
		require.Empty(t, w.records())
		require.Less(t, time.Since(before), 2*time.Second)
	})
}

// rows: K13
func TestOnboardingDoesNotStarveChecks(t *testing.T) {
	t.Parallel()
	s := &script{}
	var checked chan time.Time // made in the bubble
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		if !call.Run.Onboarding {
			checked <- time.Now()
			return nil
		}
		for n := range 50 {
			if err := out.Stream(ctx, sdk.Stream{ID: strconv.Itoa(n), Connector: "things"}); err != nil {
				return err
			}
		}
		return nil
	}
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		select {
		case <-time.After(30 * time.Second):
			return sdk.Outcome{}, nil
		case <-ctx.Done():
			return sdk.Outcome{}, ctx.Err()
		}
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		checked = make(chan time.Time, 100)
		s.manifest.Limits = sdk.Limits{Concurrency: 64, PerRun: 1}
		w.every = 5
		w.up()
		w.until(store.RunProcessed)
		w.every = -1
		for n := range 40 { // more onboardings than there are slots
			w.create(string(rune('a'+n%26)) + strconv.Itoa(n) + "bulk"[:n%4])
		}
		first := <-checked
		second := <-checked
		require.InDelta(t, 5*time.Minute, second.Sub(first), float64(time.Minute), "within a tick of its time")
	})
}

// rows: K01, F24
func TestAPlanOfThousandsNeedsNoCheckpoint(t *testing.T) {
	t.Parallel()
	s := &script{}
	planned := 0
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		planned++
		require.Nil(t, call.Checkpoint)
		for n := range 5000 {
			if planned == 1 && n == 3500 {
				return errDied // what was planned by then is not planned twice
			}
			if err := out.Stream(ctx, sdk.Stream{ID: strconv.Itoa(n), Connector: "things"}); err != nil {
				return err
			}
		}
		return nil
	}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed)
		require.Equal(t, 2, planned)
		require.Equal(t, int64(5000), run.Streams.Total())
	})
}
