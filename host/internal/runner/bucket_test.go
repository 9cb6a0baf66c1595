package runner_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// moments collects when things happened.
type moments struct {
	mu sync.Mutex
	at []time.Time
}

func (m *moments) add() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = append(m.at, time.Now())
}

// most returns the greatest number in any window of that length.
func (m *moments) most(window time.Duration) (most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.SortFunc(m.at, time.Time.Compare)
	from := 0
	for to := range m.at {
		for m.at[to].Sub(m.at[from]) >= window {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

func (m *moments) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.at)
}

// manyStreams plans n streams.
func manyStreams(n int) func(context.Context, sdk.PlanCall, *sdk.Emitter) error {
	return func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		for i := range n {
			if err := out.Stream(ctx, sdk.Stream{ID: strconv.Itoa(i), Connector: "things"}); err != nil {
				return err
			}
		}
		return nil
	}
}

// rows: C49, K14, I12
func TestABucketHoldsInEveryWindowAndOverRestarts(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]sdk.Bucket{
		"ManyASecond": {Scope: sdk.CachePlugin, Key: "api", Max: 20, Window: time.Second},
		"FewAMinute":  {Scope: sdk.CacheIntegration, Key: "api", Max: 6, Window: time.Minute},
		"One":         {Scope: sdk.CacheTenant, Key: "api", Max: 1, Window: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			granted := &moments{}
			s := &script{plan: manyStreams(40)}
			s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
				if err := sdk.HostFrom(ctx).Limit(ctx, b); err != nil {
					return sdk.Outcome{}, err
				}
				granted.add()
				return sdk.Outcome{}, nil
			}
			inWorld(t, s, func(t *testing.T, w *world) {
				w.conc = 8
				w.up()
				for granted.count() < 10 {
					time.Sleep(100 * time.Millisecond) // the bubble's clock
				}
				w.down()
				w.up()                                           // a bucket is not full again
				time.Sleep(40 * b.Window / time.Duration(b.Max)) // the bubble's clock
				run := w.until(store.RunProcessed)
				require.EqualValues(t, 40, run.Streams.Processed)
				require.Equal(t, 40, granted.count())
				require.LessOrEqual(t, granted.most(b.Window), b.Max)
				for _, st := range w.streams() {
					require.Zero(t, st.Attempts, "to wait costs no attempt")
				}
			})
		})
	}
}

// rows: C49, C51
func TestSlotsBoundWhatIsInFlightAndEndWithTheCall(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	s := &script{plan: manyStreams(30)}
	s.process = func(ctx context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		release, err := sdk.HostFrom(ctx).Slot(ctx, sdk.CachePlugin, "writes", 3)
		if err != nil {
			return sdk.Outcome{}, err
		}
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(time.Second) // the bubble's clock
		now.Add(-1)
		if n, _ := strconv.Atoi(call.Stream.ID); n%2 == 0 {
			release()
			release()
		} // the others leave it to the host
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 8
		w.up()
		w.create("two")
		deadline := time.Now().Add(time.Hour)
		for time.Now().Before(deadline) {
			time.Sleep(time.Second) // the bubble's clock
			synctest.Wait()
			done, err := w.db.Runs(t.Context(), store.RunFilter{State: store.RunProcessed})
			require.NoError(t, err)
			if len(done) == 2 {
				break
			}
		}
		done, err := w.db.Runs(t.Context(), store.RunFilter{State: store.RunProcessed})
		require.NoError(t, err)
		require.Len(t, done, 2)
		require.Equal(t, int32(3), most.Load(), "over all integrations")
	})
}

// rows: C50, C51
func TestATokenThatIsUsedUpIsPassedOver(t *testing.T) {
	long(t)
	t.Parallel()
	var (
		mu   sync.Mutex
		used = map[string]int{}
		all  []string // in the order of their use
	)
	pool := []string{"token:1", "token:2", "token:3"}
	s := &script{plan: manyStreams(60)}
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		key, err := sdk.HostFrom(ctx).Pick(ctx, pool)
		if err != nil {
			return sdk.Outcome{}, err
		}
		mu.Lock()
		defer mu.Unlock()
		used[key]++
		all = append(all, key)
		if key == "token:1" && used[key] == 4 || used[key]%10 == 0 { // the remote says: no more for a while
			return sdk.Outcome{RateLimit: &sdk.RateLimit{Key: key, After: 10 * time.Minute}}, nil
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 1
		begin := time.Now()
		w.up()
		time.Sleep(time.Minute) // the bubble's clock
		synctest.Wait()
		mu.Lock()
		require.Equal(t, map[string]int{"token:1": 4, "token:2": 10, "token:3": 10}, used, "each until its limit")
		require.Equal(t, slices.Repeat(pool, 4), all[:12], "each in its turn")
		mu.Unlock()
		w.down()
		w.up()                      // what is known of the tokens is kept
		time.Sleep(5 * time.Minute) // the bubble's clock
		mu.Lock()
		require.Equal(t, 4, used["token:1"])
		mu.Unlock()
		run := w.until(store.RunProcessed)
		require.EqualValues(t, 60, run.Streams.Processed)
		require.Greater(t, run.EndedAt.Sub(begin), 10*time.Minute)
		for _, st := range w.streams() {
			require.Zero(t, st.Attempts)
		}
	})
}

// rows: I11, C49
func TestBadBucketsHaveNames(t *testing.T) {
	t.Parallel()
	codes := map[string]string{}
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		h := sdk.HostFrom(ctx)
		for name, b := range map[string]sdk.Bucket{
			"no key": {Scope: sdk.CachePlugin, Max: 1, Window: time.Second},
			"scope":  {Scope: "all", Key: "k", Max: 1, Window: time.Second},
			"none":   {Scope: sdk.CachePlugin, Key: "k", Window: time.Second},
			"window": {Scope: sdk.CachePlugin, Key: "k", Max: 1},
			"long":   {Scope: sdk.CachePlugin, Key: string(make([]byte, 1000)), Max: 1, Window: time.Second},
		} {
			codes[name] = sdk.AsError(h.Limit(ctx, b)).Code
		}
		_, err := h.Slot(ctx, sdk.CachePlugin, "k", 0)
		codes["slot"] = sdk.AsError(err).Code
		_, err = h.Pick(ctx, nil)
		codes["pick"] = sdk.AsError(err).Code
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, map[string]string{
			"no key": "bad_limit_key", "scope": "bad_limit_scope", "none": "bad_bucket", "window": "bad_bucket", "long": "bad_limit_key",
			"slot": "bad_slot", "pick": "bad_pick",
		}, codes)
	})
}
