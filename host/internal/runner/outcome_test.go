package runner

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errLostForTest   = errors.New("the process is gone")
	errAwayForTest   = errors.New("not loaded")
	errReopenForTest = errors.New("unknown handle")
)

// noPlugins knows errors, and no plugin.
type noPlugins struct{ Plugins }

func (noPlugins) Away(err error) bool   { return errors.Is(err, errAwayForTest) }
func (noPlugins) Lost(err error) bool   { return errors.Is(err, errLostForTest) }
func (noPlugins) Reopen(err error) bool { return errors.Is(err, errReopenForTest) }

func now() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func callFor(s store.Stream) *call {
	r := New(nil, noPlugins{}, nil, Options{Now: now})
	return &call{lane: &lane{r: r, in: store.Integration{UID: "uid", IntegrationSpec: store.IntegrationSpec{Plugin: "slack"}}}, stream: s}
}

// rows: C26, D11, D12
func TestRateLimitBecomesATime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit sdk.RateLimit
		wait  time.Duration
	}{
		"Relative":         {sdk.RateLimit{After: 90 * time.Second}, 90 * time.Second},
		"Epoch":            {sdk.RateLimit{Until: now().Add(5 * time.Minute)}, 5 * time.Minute},
		"PastIsTheMinimum": {sdk.RateLimit{Until: now().Add(-time.Hour)}, shortestWait},
		"FarIsCapped":      {sdk.RateLimit{Until: now().AddDate(53, 0, 0)}, longestWait},
		"NothingSaid":      {sdk.RateLimit{}, shortestWait},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := callFor(store.Stream{Attempts: 3, LimitKey: "tier3"}).end(sdk.Outcome{},
				&sdk.Error{Class: sdk.ClassRateLimited, Code: "rate_limited", Limit: &c.limit}, false, false)
			require.Equal(t, store.StreamDelayed, e.State)
			require.Equal(t, now().Add(c.wait), e.DueAt)
			require.False(t, e.Attempt, "a rate limit costs no attempt")
			require.True(t, e.Answered)
			require.Equal(t, &store.Throttle{Plugin: "slack", Key: "tier3", Until: e.DueAt}, e.throttle)
		})
	}
}

// rows: C27, D10, K11
func TestOneTryAndFiveRetries(t *testing.T) {
	t.Parallel()
	transient := &sdk.Error{Class: sdk.ClassTransient, Code: "503", Message: "try later"}
	last := time.Duration(0)
	for failures := range 5 {
		e := callFor(store.Stream{Attempts: failures}).end(sdk.Outcome{}, transient, false, false)
		require.Equal(t, store.StreamDelayed, e.State, "failure %d is retried", failures+1)
		require.True(t, e.Attempt)
		require.True(t, e.Answered, "a failure that was reported is no interrupt")
		wait := e.DueAt.Sub(now())
		require.Greater(t, wait, last, "delays grow")
		last = wait
	}
	e := callFor(store.Stream{Attempts: 5}).end(sdk.Outcome{}, transient, false, false)
	require.Equal(t, store.StreamError, e.State, "the sixth failure is final")
	require.Equal(t, "process_stream", e.Failure.Point)
	require.Equal(t, "503", e.Failure.Code)
	require.Equal(t, 6, e.Failure.Attempt)
}

// Streams that failed together do not return together.
//
// rows: C27
func TestRetriesAreSpread(t *testing.T) {
	t.Parallel()
	transient := &sdk.Error{Class: sdk.ClassTransient, Code: "503", Message: "try later"}
	wait := func(jitter func() float64) time.Duration {
		r := New(nil, noPlugins{}, nil, Options{Now: now, Jitter: jitter})
		c := callFor(store.Stream{})
		c.r = r
		return c.end(sdk.Outcome{}, transient, false, false).DueAt.Sub(now())
	}
	for chance, want := range map[float64]time.Duration{0: 8 * time.Second, 0.5: 10 * time.Second, 1: 12 * time.Second} {
		require.InDelta(t, want, wait(func() float64 { return chance }), float64(time.Millisecond))
	}
	seen := map[time.Duration]bool{}
	for range 20 {
		seen[wait(nil)] = true
	}
	require.Greater(t, len(seen), 10, "by chance, unless a test says otherwise")
}

// rows: C27
func TestWrongSettingsAreNotRetried(t *testing.T) {
	t.Parallel()
	for _, class := range []sdk.Class{sdk.ClassConfig, sdk.ClassAuth} {
		e := callFor(store.Stream{}).end(sdk.Outcome{}, &sdk.Error{Class: class, Message: "no"}, false, false)
		require.Equal(t, store.StreamError, e.State, class)
	}
}

// rows: K11, F02, F23
func TestDeathCostsNoAttemptButEndsInTheEnd(t *testing.T) {
	t.Parallel()
	e := callFor(store.Stream{Interrupts: 1}).end(sdk.Outcome{}, errLostForTest, false, false)
	require.Equal(t, store.StreamDelayed, e.State)
	require.False(t, e.Attempt)
	require.False(t, e.Answered, "interrupts keep what the claim added")
	require.LessOrEqual(t, e.DueAt.Sub(now()), time.Second, "back within a second")

	e = callFor(store.Stream{Interrupts: 10, Crashes: 1}).end(sdk.Outcome{}, errLostForTest, false, false)
	require.Equal(t, store.StreamDelayed, e.State, "whose fault the end of a shared process is, nobody knows")
	require.False(t, e.Crash)

	suspect := callFor(store.Stream{Interrupts: 3, Data: []byte("d")})
	suspect.alone = true
	suspect.plugin.Ending = func() error { return errors.New("exited with code 7; it wrote: ouch") }
	e = suspect.end(sdk.Outcome{}, errLostForTest, false, false)
	require.Equal(t, store.StreamDelayed, e.State)
	require.True(t, e.Crash)

	suspect.stream.Crashes = 1
	e = suspect.end(sdk.Outcome{}, errLostForTest, false, false)
	require.Equal(t, store.StreamError, e.State, "a stream that ends the processes that it has to itself is given up")
	require.True(t, e.Crash)
	require.Equal(t, "plugin_crashed", e.Failure.Code)
	require.Contains(t, e.Failure.Message, "had for this call alone exited with code 7; it wrote: ouch; it is the second to end so: given up; payload sha256 ")
	other := callFor(store.Stream{Data: []byte("e")})
	require.NotEqual(t, suspect.payload(), other.payload())
}

// rows: K11, K18, C31, F29
func TestInterruptionsCostNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err               error
		progress, stopped bool
	}{
		"Yield":            {err: errYield},
		"NotLoaded":        {err: errAwayForTest},
		"Stopping":         {err: errors.New("cancelled"), stopped: true},
		"Reopen":           {err: errReopenForTest},
		"LongWithProgress": {err: errTooLong, progress: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := callFor(store.Stream{}).end(sdk.Outcome{}, c.err, c.progress, c.stopped)
			require.Equal(t, store.StreamPending, e.State)
			require.True(t, e.Answered)
			require.False(t, e.Attempt)
			require.False(t, e.keep, "what follows the last checkpoint is discarded")
		})
	}
}

// rows: K11, F03
//
// A plugin that is away is so for the whole run; that a process for one call alone could
// not be started, for that stream.
func TestAPluginThatIsAwayRestsTheRun(t *testing.T) {
	t.Parallel()
	c := callFor(store.Stream{})
	e := c.end(sdk.Outcome{}, errAwayForTest, false, false)
	require.Equal(t, now().Add(awayRest), e.SleepUntil)
	require.Equal(t, "the plugin cannot be called at the moment", e.SleepReason)
	require.True(t, e.Answered)
	require.Zero(t, e.DueAt)

	c.alone = true
	e = c.end(sdk.Outcome{}, errAwayForTest, false, false)
	require.Zero(t, e.SleepUntil)
	require.Equal(t, now().Add(time.Second), e.DueAt)
	require.True(t, e.Answered)
}

// rows: K11, K18, F29
func TestTheEndOfAProcessThatIsDrainedIsNoDeath(t *testing.T) {
	t.Parallel()
	c := callFor(store.Stream{Interrupts: 3, Crashes: 1})
	c.alone = true
	drained := make(chan struct{})
	close(drained)
	c.plugin.Draining = drained
	e := c.end(sdk.Outcome{}, errLostForTest, false, false)
	require.Equal(t, store.StreamPending, e.State)
	require.True(t, e.Answered)
	require.False(t, e.Attempt)
	require.False(t, e.Crash)
	require.Zero(t, e.DueAt, "it goes on at once")
}

// rows: F03, K11, K24
func TestDeadlineIsAnAttempt(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errSilent, errTooLong} {
		e := callFor(store.Stream{}).end(sdk.Outcome{}, err, false, false)
		require.Equal(t, store.StreamDelayed, e.State)
		require.True(t, e.Attempt)
		require.True(t, e.Answered, "a deadline costs an attempt alone")
		require.Equal(t, "deadline", e.Failure.Code)
	}
}

// rows: C22, F19
func TestOutcome(t *testing.T) {
	t.Parallel()
	c := callFor(store.Stream{})
	e := c.end(sdk.Outcome{Cursor: []byte("c"), LastRecord: "r9", Sleep: time.Minute}, nil, false, false)
	require.Equal(t, store.StreamProcessed, e.State)
	require.Equal(t, now().Add(time.Minute), e.SleepUntil)
	require.Equal(t, "the plugin asked for a pause", e.SleepReason)
	require.Equal(t, "r9", e.LastRecord)
	require.True(t, e.keep)
	require.True(t, e.Answered)

	e = c.end(sdk.Outcome{NextPage: []byte("p2"), RateLimit: &sdk.RateLimit{After: time.Hour}}, nil, false, false)
	require.Equal(t, store.StreamDelayed, e.State, "the page is stored, the next one waits")
	require.Equal(t, []byte("p2"), e.NextPage)
	require.Equal(t, now().Add(time.Hour), e.DueAt)
}

// rows: C34
func TestAFailureTellsAllThatIsKnown(t *testing.T) {
	t.Parallel()
	c := callFor(store.Stream{Type: store.StreamRoot, Attempts: 2})
	c.manifest.Version = "1.2.3"
	e := c.end(sdk.Outcome{}, &sdk.Error{
		Class: sdk.ClassRemote, Code: "bad_answer", Message: "half a page", Cause: errors.New("unexpected EOF"),
		Details: map[string]string{"page": "7"},
	}, false, false)
	require.Equal(t, &store.Failure{
		Point: "process_stream", Class: "remote", Code: "bad_answer", Message: "half a page", Cause: "unexpected EOF",
		Attempt: 3, Plugin: "1.2.3", At: now(), Details: map[string]string{"page": "7"},
	}, e.Failure)
	for typ, point := range map[store.StreamType]string{
		store.StreamPreprocess: "preprocess", store.StreamPlan: "get_streams", store.StreamAllow: "allowed", store.StreamRoot: "process_stream",
		store.StreamChild: "process_stream", store.StreamSweep: "sweep", store.StreamPostprocess: "postprocess",
	} {
		require.Equal(t, point, callFor(store.Stream{Type: typ}).failure(&sdk.Error{}).Point)
	}
}

// rows: C34
func TestFailureTextIsUntrusted(t *testing.T) {
	t.Parallel()
	f := callFor(store.Stream{}).failure(&sdk.Error{Class: sdk.ClassRemote, Code: "x\x1b[31m", Message: "bad\x00\x1b]0;title\x07" + strings.Repeat("é", 2000)})
	require.Equal(t, "x[31m", f.Code)
	require.NotContains(t, f.Message, "\x1b")
	require.LessOrEqual(t, len(f.Message), 1024)
	require.True(t, strings.HasSuffix(f.Message, "é"), "cut between runes")
}

// rows: C34, O43
func TestARequestIsKeptWithoutWhatItShouldNotTell(t *testing.T) {
	t.Parallel()
	kept := func(r sdk.RequestFacts) *store.Request {
		return callFor(store.Stream{}).failure(&sdk.Error{Class: sdk.ClassRemote, Request: &r}).Request
	}
	require.Nil(t, callFor(store.Stream{}).failure(&sdk.Error{}).Request)
	require.Equal(t, &store.Request{Method: "GET", URL: "https://api.example.com/v1/x", Status: 503, Duration: time.Second, Host: "api.example.com"},
		kept(sdk.RequestFacts{Method: "GET", URL: "https://me:hunter2@api.example.com/v1/x?token=hunter2#hunter2", Status: 503, Duration: time.Second}))
	bad := kept(sdk.RequestFacts{Method: "GET\x1b", URL: "https://me:hunter2@%zz/", Host: "a\x07b"})
	require.Equal(t, &store.Request{Method: "GET", Host: "ab"}, bad, "what cannot be read is not kept")
}

// rows: F06
func TestABreachOfTheProtocolFailsAtOnce(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"plugin_protocol", "message_too_large", "checkpoint_required", "reserved_kind"} {
		e := callFor(store.Stream{}).end(sdk.Outcome{}, &sdk.Error{Class: sdk.ClassSystem, Code: code}, false, false)
		require.Equal(t, store.StreamError, e.State, code)
		require.Equal(t, code, e.Failure.Code)
	}
}
