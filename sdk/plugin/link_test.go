package plugin_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// during runs f inside of a call whose host is h.
func during(t *testing.T, h sdk.Host, f func(context.Context, sdk.Host) error) error {
	t.Helper()
	z := &zoo{check: func(ctx context.Context) error { return f(ctx, sdk.HostFrom(ctx)) }}
	return opened(t, z).(sdk.Checker).Check(sdk.WithHost(t.Context(), h))
}

// rows: H30
func TestHostOverTheLink(t *testing.T) {
	t.Parallel()
	h := newHost()
	expires := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, during(t, h, func(ctx context.Context, host sdk.Host) error {
		_, err := host.Credential(ctx, "token", 0)
		if !errors.Is(err, sdk.ErrNoCredential) {
			return errors.Join(errors.New("a credential from nowhere"), err)
		}
		c, granted, err := host.BeginRefresh(ctx, "token", 0)
		if err != nil || !granted || c.Version != 0 {
			return errors.Join(errors.New("no right to refresh"), err)
		}
		if c, err = host.CommitCredential(ctx, "token", 0, sdk.NewSecret("t0ken"), expires); err != nil || c.Version != 1 {
			return errors.Join(errors.New("no commit"), err)
		}
		c, err = host.Credential(ctx, "token", 1)
		if err != nil || c.Token.Reveal() != "t0ken" || !c.Expires.Equal(expires) {
			return errors.Join(errors.New("another credential"), err)
		}
		_, err = host.CommitCredential(ctx, "token", 0, sdk.NewSecret("late"), time.Time{})
		if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Code != "stale" {
			return errors.Join(errors.New("a stale commit is taken"), err)
		}
		if _, ok, err := host.CacheGet(ctx, sdk.CacheTenant, "k"); ok || err != nil {
			return errors.Join(errors.New("a value from nowhere"), err)
		}
		if err := host.CachePut(ctx, sdk.CacheTenant, "k", nil, time.Hour); err != nil {
			return err
		}
		if v, ok, err := host.CacheGet(ctx, sdk.CacheTenant, "k"); !ok || len(v) != 0 || err != nil {
			return errors.Join(errors.New("an empty value is lost"), err)
		}
		if err := host.CachePut(ctx, sdk.CacheTenant, "k", make([]byte, 65<<10), time.Hour); err == nil {
			return errors.New("a large value is taken")
		}
		host.Log(sdk.LogWarn, "careful", "b", 2, "a", "one")
		return host.Progress(ctx, "listing", time.Now().Add(time.Minute))
	}))
	require.Equal(t, []string{"warn carefulaoneb2"}, h.lines)
	require.Equal(t, "t0ken", h.creds["token"].Token.Reveal())
}

// rows: C49, C50
func TestLimitsOverTheLink(t *testing.T) {
	t.Parallel()
	h := newHost()
	require.NoError(t, during(t, h, func(ctx context.Context, host sdk.Host) error {
		err := host.Limit(ctx, sdk.Bucket{Scope: sdk.CacheTenant, Key: "b", Max: 5, Window: time.Minute})
		e, ok := errors.AsType[*sdk.Error](err)
		if !ok || e.Class != sdk.ClassRateLimited || e.Limit.After != time.Minute || e.Limit.Key != "bucket:b" {
			return errors.Join(errors.New("another refusal"), err)
		}
		release, err := host.Slot(ctx, sdk.CachePlugin, "s", 1)
		if err != nil {
			return err
		}
		if _, err = host.Slot(ctx, sdk.CachePlugin, "s", 1); sdk.AsError(err).Class != sdk.ClassRateLimited {
			return errors.Join(errors.New("a second slot"), err)
		}
		release()
		release()                                                    // nothing more happens
		if _, err = host.Pick(ctx, []string{"a", "b"}); err != nil { // behind it, on the same link
			return err
		}
		if n := h.held(); n != 0 {
			return errors.New("the slot is still held")
		}
		key, err := host.Pick(ctx, []string{"a", "b"})
		if key != "b" {
			return errors.Join(errors.New("another key"), err)
		}
		return err
	}))
	require.Equal(t, []string{"limit tenant b 5 1m0s", "slot plugin s 1"}, h.lines)
}

// rows: K19
func TestAnEndedCallAsksNothing(t *testing.T) {
	t.Parallel()
	h := newHost()
	var kept sdk.Host
	z := &zoo{check: func(ctx context.Context) error { kept = sdk.HostFrom(ctx); return nil }}
	i := opened(t, z)
	require.NoError(t, i.(sdk.Checker).Check(sdk.WithHost(t.Context(), h)))
	_, _, err := kept.CacheGet(t.Context(), sdk.CachePlugin, "k")
	requireSystem(t, err, "call_ended")
	kept.Log(sdk.LogInfo, "too late")
	_, _, err = kept.CacheGet(t.Context(), sdk.CachePlugin, "k") // after the line, on the same link
	requireSystem(t, err, "call_ended")
	require.Empty(t, h.lines)
}

// A call reaches the host that its own context has, not that of another call.
// rows: K19, P10, I09
func TestCallsReachTheirOwnHosts(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	z := &zoo{invoke: func(ctx context.Context, call sdk.HookCall) (sdk.HookResult, error) {
		return sdk.HookResult{}, sdk.HostFrom(ctx).CachePut(ctx, sdk.CacheIntegration, "who", call.Payload, 0)
	}}
	i := opened(t, z)
	for who := range strings.SplitSeq("abcdefghijklmnopqrst", "") {
		wg.Go(func() {
			h := newHost()
			_, err := i.(sdk.Invoker).Invoke(sdk.WithHost(t.Context(), h), sdk.HookCall{Payload: []byte(who)})
			if err != nil || string(h.cache["integration/who"]) != who {
				t.Errorf("host of %s has %q: %v", who, h.cache["integration/who"], err)
			}
		})
	}
	wg.Wait()
}

// rows: K19
func TestAtMostFourAsksACallAndThirtyTwoAProcess(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	h := newHost()
	h.block = make(chan struct{})
	z := &zoo{check: func(ctx context.Context) error {
		var asks sync.WaitGroup
		errs := make(chan error, 10)
		for range 10 {
			asks.Go(func() { errs <- sdk.HostFrom(ctx).Progress(ctx, "busy", time.Time{}) })
		}
		// A commit comes through although all places are taken.
		_, err := sdk.HostFrom(ctx).CommitCredential(ctx, "token", 99, sdk.NewSecret("x"), time.Time{})
		if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Code != "stale" {
			errs <- errors.Join(errors.New("commit"), err)
		}
		asks.Wait()
		close(errs)
		for e := range errs {
			if e != nil {
				return e
			}
		}
		return nil
	}}
	i := opened(t, z)
	errs := make(chan error, 12)
	calls := func(n int) {
		for range n {
			wg.Go(func() { errs <- i.(sdk.Checker).Check(sdk.WithHost(t.Context(), h)) })
		}
	}
	busy := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.busy == n
		}, time.Minute, time.Millisecond)
	}
	calls(1)
	busy(4)
	calls(11)
	busy(32)
	close(h.block)
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, 32, h.most)
}

// rows: K19
func TestAsksEndWithTheirCall(t *testing.T) {
	t.Parallel()
	h := newHost()
	h.block, h.ended = make(chan struct{}), make(chan error, 2)
	asked := make(chan struct{})
	z := &zoo{check: func(ctx context.Context) error {
		close(asked)
		return sdk.HostFrom(ctx).Progress(ctx, "busy", time.Time{})
	}}
	i := opened(t, z)
	ctx, cancel := context.WithCancel(sdk.WithHost(t.Context(), h))
	done := make(chan error, 1)
	go func() { done <- i.(sdk.Checker).Check(ctx) }()
	<-asked
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.busy == 1
	}, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.ErrorIs(t, <-h.ended, context.Canceled)
}

// What a plugin left behind in a call that has returned is cancelled by the host, which
// does not rely on the plugin's own contexts.
//
// rows: K19
func TestAnAskThatOutlivesItsCallIsCancelled(t *testing.T) {
	t.Parallel()
	h := newHost()
	h.block, h.ended = make(chan struct{}), make(chan error, 1)
	answered, asked := make(chan error, 1), make(chan struct{})
	z := &zoo{check: func(ctx context.Context) error {
		host := sdk.HostFrom(ctx)
		go func() { answered <- host.Progress(context.WithoutCancel(ctx), "busy", time.Time{}) }()
		<-asked
		return nil
	}}
	i := opened(t, z)
	done := make(chan error, 1)
	go func() { done <- i.(sdk.Checker).Check(sdk.WithHost(t.Context(), h)) }()
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.busy == 1
	}, time.Minute, time.Millisecond)
	close(asked)
	require.NoError(t, <-done)
	require.ErrorIs(t, <-h.ended, context.Canceled)
	require.NotNil(t, errorWith(t, <-answered, sdk.ClassTransient, "call_ended"))
}

// rows: K19
func TestAnAskIsCancelledAlone(t *testing.T) {
	t.Parallel()
	h := newHost()
	h.block, h.ended = make(chan struct{}), make(chan error, 1)
	require.NoError(t, during(t, h, func(ctx context.Context, host sdk.Host) error {
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		if err := host.Progress(short, "busy", time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
			return errors.Join(errors.New("not cancelled"), err)
		}
		select { // while the call goes on
		case err := <-h.ended:
			if !errors.Is(err, context.Canceled) {
				return errors.Join(errors.New("ended otherwise"), err)
			}
		case <-time.After(time.Minute):
			return errors.New("the host goes on with it")
		}
		return host.CachePut(ctx, sdk.CacheTenant, "k", []byte("v"), 0)
	}))
}

// rows: K19
func TestALargeAskIsRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, during(t, newHost(), func(ctx context.Context, host sdk.Host) error {
		_, _, err := host.CacheGet(ctx, sdk.CacheTenant, strings.Repeat("k", 2<<20))
		if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Code != "message_too_large" {
			return errors.Join(errors.New("taken"), err)
		}
		_, _, err = host.CacheGet(ctx, sdk.CacheTenant, "k") // the link lives on
		return err
	}))
}

// rows: K19
func TestLosingTheLinkEndsAllCalls(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	z := &zoo{check: func(ctx context.Context) error { close(started); <-ctx.Done(); return ctx.Err() }}
	client, stop, err := plugin.OverWire(t.Context(), z)
	require.NoError(t, err)
	t.Cleanup(stop)
	i, err := client.Open(t.Context(), sdk.Integration{})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- i.(sdk.Checker).Check(t.Context()) }()
	<-started
	stop()
	require.ErrorIs(t, <-done, plugin.ErrLost)
	require.ErrorIs(t, i.(sdk.Checker).Check(t.Context()), plugin.ErrLost)
	require.ErrorIs(t, client.Health(t.Context()), plugin.ErrLost)
}

// The link alone is lost, and the connection serves on: nobody could answer what the
// calls ask, so they end.
//
// rows: K19
func TestLosingTheLinkAloneEndsAllCalls(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 1)
	var linked sync.Once
	z := &zoo{check: func(ctx context.Context) (err error) {
		wait := func() { started <- struct{}{}; <-ctx.Done(); err = ctx.Err() }
		linked.Do(func() { // the answer comes by the link, which opens beside the calls
			wait = func() {}
			err = sdk.HostFrom(ctx).Progress(ctx, "linked", time.Time{})
		})
		wait()
		return err
	}}
	first := connect(t, z)
	asker, err := first.Open(t.Context(), sdk.Integration{})
	require.NoError(t, err)
	require.NoError(t, asker.(sdk.Checker).Check(sdk.WithHost(t.Context(), newHost())))
	client := plugin.Second(first)
	i, err := client.Open(t.Context(), sdk.Integration{})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- i.(sdk.Checker).Check(t.Context()) }()
	<-started
	require.Error(t, client.Link(t.Context()), "the process has one already")
	require.ErrorIs(t, <-done, plugin.ErrLost)
	require.ErrorIs(t, i.(sdk.Checker).Check(t.Context()), plugin.ErrLost)
	require.NoError(t, first.Health(t.Context()), "the connection is well")
}

func TestACallWithoutAHost(t *testing.T) {
	t.Parallel()
	z := &zoo{check: func(ctx context.Context) error {
		if _, err := sdk.HostFrom(ctx).Credential(ctx, "token", 0); !errors.Is(err, sdk.ErrNoHost) {
			return errors.Join(errors.New("a host from nowhere"), err)
		}
		return nil
	}}
	require.NoError(t, opened(t, z).(sdk.Checker).Check(t.Context()))
}
