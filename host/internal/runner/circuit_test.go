package runner_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// remote is a system that fails when it is told to.
type remote struct {
	host           string
	status         atomic.Int32 // 0: no answer; 200: all is well
	calls          atomic.Int32
	inFlight, most atomic.Int32
}

func (r *remote) get() error {
	r.calls.Add(1)
	if n := r.inFlight.Add(1); n > r.most.Load() {
		r.most.Store(n)
	}
	defer r.inFlight.Add(-1)
	time.Sleep(time.Second) // the bubble's clock
	status := int(r.status.Load())
	if status == 200 {
		return nil
	}
	return &sdk.Error{
		Class: sdk.ClassRemote, Code: fmt.Sprintf("http_%d", status), Message: r.host + " is down",
		Request: &sdk.RequestFacts{Method: "GET", URL: "https://" + r.host + "/x", Status: status, Host: r.host},
	}
}

// open returns the circuits of the first integration.
func (w *world) open() []store.Circuit {
	w.t.Helper()
	list, err := w.db.Circuits(context.Background(), 1)
	require.NoError(w.t, err)
	return list
}

// attempts returns how many attempts all streams of the newest run have spent.
func (w *world) attempts() (n int) {
	w.t.Helper()
	for _, st := range w.streams() {
		n += st.Attempts
	}
	return n
}

// rows: O51, F18, I12
func TestACircuitOpensAndOneProbeAtATimeGoesAhead(t *testing.T) {
	t.Parallel()
	api := &remote{host: "api.example.com"}
	s := &script{plan: manyStreams(30)}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, api.get()
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 4
		w.opts.Jitter = func() float64 { return 0.25 } // the same chances, the same probes
		api.status.Store(503)
		w.up()
		time.Sleep(20 * time.Second) // the bubble's clock
		synctest.Wait()
		open := w.open()
		require.Len(t, open, 1)
		require.Equal(t, "api.example.com", open[0].Host)
		require.Equal(t, "api.example.com is down", open[0].Message)
		require.Equal(t, 27*time.Second, open[0].Until.Sub(open[0].OpenedAt))
		require.LessOrEqual(t, api.calls.Load(), int32(10+3), "those that were in flight when it opened, no more")
		tried, spent := api.calls.Load(), w.attempts()
		api.most.Store(0)

		time.Sleep(30 * time.Minute) // the bubble's clock
		synctest.Wait()
		probes := api.calls.Load() - tried
		require.GreaterOrEqual(t, probes, int32(4))
		require.LessOrEqual(t, probes, int32(9), "less and less often")
		require.Equal(t, int32(1), api.most.Load(), "one probe at a time")
		w.down()
		w.up()                  // the store remembers
		time.Sleep(time.Minute) // the bubble's clock
		synctest.Wait()
		require.Len(t, w.open(), 1)
		require.Equal(t, open[0].OpenedAt, w.open()[0].OpenedAt)
		require.LessOrEqual(t, api.calls.Load()-tried-probes, int32(2))
		require.Equal(t, store.RunProcessing, w.run().State, "the run waits, it does not fail")
		require.Equal(t, spent, w.attempts(), "no attempt is lost while it is open")

		api.status.Store(200)
		time.Sleep(20 * time.Minute) // the bubble's clock
		run := w.until(store.RunProcessed)
		require.EqualValues(t, 30, run.Streams.Processed)
		require.Empty(t, w.open())
	})
}

// A remote system that is down holds back the streams that use it, no others; a
// person may have it tried at once.
//
// rows: O51, C51, C48
func TestACircuitIsOfOneHost(t *testing.T) {
	t.Parallel()
	down, up := &remote{host: "down.example.com"}, &remote{host: "up.example.com"}
	down.status.Store(0)
	up.status.Store(200)
	s := &script{plan: func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		for n := range 40 {
			key := []string{"down", "up"}[n%2]
			if err := out.Stream(ctx, sdk.Stream{ID: strconv.Itoa(n), Connector: "things", LimitKey: key}); err != nil {
				return err
			}
		}
		return nil
	}}
	s.process = func(_ context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.LimitKey == "up" {
			return sdk.Outcome{}, up.get()
		}
		return sdk.Outcome{}, down.get()
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		time.Sleep(5 * time.Minute) // the bubble's clock
		synctest.Wait()
		require.EqualValues(t, 20, w.run().Streams.Processed, "the others are done")
		require.Len(t, w.open(), 1)
		require.Equal(t, "down.example.com", w.open()[0].Host)
		time.Sleep(time.Until(w.open()[0].Until) / 2) // the bubble's clock
		before := down.calls.Load()
		down.status.Store(200)
		_, err := w.db.ContinueRun(t.Context(), w.run().ID)
		require.NoError(t, err)
		time.Sleep(2 * time.Second) // the bubble's clock
		require.Greater(t, down.calls.Load(), before)
		require.EqualValues(t, 40, w.until(store.RunProcessed).Streams.Processed)
	})
}

// A remote system that fails now and then is not down: a success ends the row of
// failures.
//
// rows: O51
func TestFailuresWithASuccessBetweenOpenNothing(t *testing.T) {
	t.Parallel()
	api := &remote{host: "api.example.com"}
	s := &script{plan: manyStreams(40)}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		api.status.Store(503)
		if api.calls.Load()%5 == 4 {
			api.status.Store(200)
		}
		return sdk.Outcome{}, api.get()
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 1
		w.opts.Retries = 200
		w.up()
		w.until(store.RunProcessing)
		for w.run().Streams.Processed < 20 {
			require.Empty(t, w.open(), "after %d calls", api.calls.Load())
			time.Sleep(time.Second) // the bubble's clock
			synctest.Wait()
		}
		require.Greater(t, api.calls.Load(), int32(20+3*10), "several times as many failures as open a circuit")
	})
}

// rows: F18, O40, O51
func TestARefusalIsFinalAndOpensNothing(t *testing.T) {
	t.Parallel()
	api := &remote{host: "api.example.com"}
	s := &script{plan: manyStreams(30)}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, api.get()
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		api.status.Store(404)
		w.up()
		run := w.until(store.RunError)
		require.EqualValues(t, 30, run.Streams.Error)
		require.Equal(t, int32(30), api.calls.Load(), "none is tried again")
		require.Empty(t, w.open())
		require.Equal(t, 404, w.streams()["7"].Failure.Request.Status)
	})
}

// rows: O40, C26
func TestTooManyRequestsIsARateLimitWhateverItsClass(t *testing.T) {
	t.Parallel()
	api := &remote{host: "api.example.com"}
	s := &script{plan: manyStreams(3)}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, api.get()
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		api.status.Store(429)
		w.up()
		time.Sleep(30 * time.Second) // the bubble's clock
		api.status.Store(200)
		w.until(store.RunProcessed)
		for _, st := range w.streams() {
			require.Zero(t, st.Attempts)
		}
	})
}

// An epoch is a time, not a number of seconds to wait.
//
// rows: C26
func TestD12AResetInEpochSecondsIsATime(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var calls []time.Time
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		calls = append(calls, time.Now())
		if len(calls) == 1 {
			epoch := time.Now().Add(90 * time.Second).Unix()
			return sdk.Outcome{}, sdk.RateLimitedUntil(time.Unix(epoch, 0))
		}
		if len(calls) == 2 { // and one who takes it for seconds waits a day, not 53 years
			return sdk.Outcome{}, sdk.RateLimitedFor(time.Duration(time.Now().Unix()) * time.Second)
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		time.Sleep(26 * time.Hour) // the bubble's clock
		w.until(store.RunProcessed)
		require.Len(t, calls, 3)
		require.InDelta(t, 90*time.Second, calls[1].Sub(calls[0]), float64(3*time.Second))
		require.InDelta(t, 24*time.Hour, calls[2].Sub(calls[1]), float64(time.Minute))
	})
}

// What a page brought counts although the remote system then wants a pause.
//
// rows: C22, F19
func TestD16APageThatWasFetchedIsKeptAtALimit(t *testing.T) {
	long(t)
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		page, _ := strconv.Atoi(string(call.Page))
		if err := thing(ctx, out, strconv.Itoa(page)); err != nil || page == 2 {
			return sdk.Outcome{}, err
		}
		return sdk.Outcome{NextPage: []byte(strconv.Itoa(page + 1)), RateLimit: &sdk.RateLimit{After: 10 * time.Minute}}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		time.Sleep(time.Minute) // the bubble's clock
		synctest.Wait()
		require.Equal(t, map[string]string{"0": `{"id":"0"}`}, w.records(), "at once, not after the wait")
		w.down()
		w.up()                      // the wait is kept as well
		time.Sleep(5 * time.Minute) // the bubble's clock
		require.Len(t, w.records(), 1)
		w.until(store.RunProcessed)
		require.Equal(t, []string{"a  0", "a 1 0", "a 2 0"}, s.calls(), "each page once")
		require.Len(t, w.records(), 3)
	})
}
