package runner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// noticed is what a clock that was set costs at most: what is tolerated, and the
// time until the scheduler looks again.
const noticed = store.ClockSlack + 31*time.Second

// rows: F16, K09
//
// The clock is set while work waits in each of the ways that there are. Nothing is
// later than its class allows, and nothing is done twice.
func TestAClockThatIsSetMakesNothingLate(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for jump, by := range map[string]time.Duration{"hour ahead": time.Hour, "hour back": -time.Hour, "decade ahead": 10 * year, "decade back": -10 * year} {
		for way, c := range map[string]struct {
			first func(ctx context.Context, now func() time.Time) (sdk.Outcome, error) // of stream a
			calls []string
			most  time.Duration // after the jump, for the run to be done
		}{
			"retry": {
				func(context.Context, func() time.Time) (sdk.Outcome, error) {
					return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassTransient, Code: "flaky", Message: "try again"}
				},
				[]string{"a  0", "a  1", "b  0"},
				18 * time.Minute,
			},
			"limit": {
				func(context.Context, func() time.Time) (sdk.Outcome, error) {
					return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassRateLimited, Code: "slow", Limit: &sdk.RateLimit{After: 40 * time.Minute}}
				},
				[]string{"a  0", "a  0", "b  0"},
				40 * time.Minute,
			},
			"sleep": {
				func(context.Context, func() time.Time) (sdk.Outcome, error) {
					return sdk.Outcome{Sleep: 40 * time.Minute}, nil
				},
				[]string{"a  0", "b  0"},
				40 * time.Minute,
			},
			"call": {
				func(ctx context.Context, now func() time.Time) (sdk.Outcome, error) {
					for range 8 { // a sign of life each half minute
						select {
						case <-time.After(30 * time.Second):
						case <-ctx.Done():
							return sdk.Outcome{}, context.Cause(ctx)
						}
						if err := sdk.HostFrom(ctx).Progress(ctx, "on it", now().Add(time.Minute)); err != nil {
							return sdk.Outcome{}, err
						}
					}
					return sdk.Outcome{}, nil
				},
				[]string{"a  0", "b  0"},
				5 * time.Minute,
			},
		} {
			t.Run(way+", "+jump, func(t *testing.T) {
				t.Parallel()
				var began atomic.Bool
				s := &script{plan: planOf("a", "b")}
				inWorld(t, s, func(t *testing.T, w *world) {
					s.process = func(ctx context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
						if call.Stream.ID == "a" && began.CompareAndSwap(false, true) {
							return c.first(ctx, w.now)
						}
						return sdk.Outcome{}, nil
					}
					w.conc = 1
					w.opts.RetryBase = 15 * time.Minute
					w.up()
					time.Sleep(103 * time.Second) // the bubble's clock; between two renewals
					require.True(t, began.Load())
					w.skew.Store(int64(by))
					set := time.Now()
					w.until(store.RunProcessed)
					require.LessOrEqual(t, time.Since(set), c.most+noticed)
					require.ElementsMatch(t, c.calls, s.calls(), "each as often as it has to be")
					synctest.Wait()
				})
			})
		}
	}
}

// rows: F16, K09, C03
func TestAClockThatIsSetMakesNoCheckLate(t *testing.T) {
	t.Parallel()
	const every = 60
	for jump, by := range map[string]time.Duration{"hour ahead": time.Hour, "hour back": -time.Hour, "decade ahead": 87600 * time.Hour, "decade back": -87600 * time.Hour} {
		t.Run(jump, func(t *testing.T) {
			t.Parallel()
			var plans chan time.Time // made in the bubble
			s := &script{plan: func(context.Context, sdk.PlanCall, *sdk.Emitter) error {
				plans <- time.Now()
				return nil
			}}
			inWorld(t, s, func(t *testing.T, w *world) {
				plans = make(chan time.Time, 100)
				w.every = every
				w.up()
				w.until(store.RunProcessed)
				<-plans
				set := time.Now()
				w.skew.Store(int64(by))
				first := <-plans
				require.LessOrEqual(t, first.Sub(set), every*3/2*time.Minute+noticed)
				second := <-plans
				require.GreaterOrEqual(t, second.Sub(first), every/2*time.Minute, "one catch-up")
				require.LessOrEqual(t, second.Sub(first), every*3/2*time.Minute+noticed)
				w.skew.Store(0) // and put right again
				set = time.Now()
				require.LessOrEqual(t, (<-plans).Sub(set), every*3/2*time.Minute+noticed)
			})
		})
	}
}
