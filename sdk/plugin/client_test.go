package plugin_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	z := &zoo{}
	client := connect(t, z)
	require.Equal(t, z.Manifest(), client.Manifest())
	require.NoError(t, client.Health(t.Context()))
}

func TestDescribeRefusesABadManifest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		manifest sdk.Manifest
		want     string
	}{
		"Name":     {sdk.Manifest{Name: "Zoo!", Label: "Zoo", Version: "1", Kind: sdk.KindOperation, Capabilities: []sdk.Capability{sdk.CanInvoke}}, "name"},
		"TooLarge": {sdk.Manifest{Name: "zoo", Label: "Zoo", Version: "1", Description: strings.Repeat("x", 300<<10), Connectors: []sdk.Connector{{Name: "a"}}}, "message_too_large"},
		"Schema":   {sdk.Manifest{Name: "zoo", Label: "Zoo", Version: "1", Settings: "text", Connectors: []sdk.Connector{{Name: "a"}}}, "settings are a struct"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := plugin.OverWire(t.Context(), &zoo{manifest: c.manifest})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	want := sdk.Integration{
		Tenant: "acme", Name: "main", ID: "42", Revision: 7, Connectors: []string{"animals"}, WriteState: 3, Settings: sdk.NewSettings([]byte(`{"token":"s3cret"}`)),
	}
	var got sdk.Integration
	z := &zoo{closed: make(chan struct{}), open: func(in sdk.Integration) error { got = in; return nil }}
	i, err := connect(t, z).Open(t.Context(), want)
	require.NoError(t, err)
	require.JSONEq(t, `{"token":"s3cret"}`, string(got.Settings.Reveal()))
	got.Settings, want.Settings = sdk.Settings{}, sdk.Settings{}
	require.Equal(t, want, got)
	require.NoError(t, i.(sdk.Closer).Close())
	<-z.closed
}

func TestOpenDryRunClosesAtOnce(t *testing.T) {
	t.Parallel()
	z := &zoo{closed: make(chan struct{})}
	i, err := connect(t, z).Open(t.Context(), sdk.Integration{DryRun: true})
	require.NoError(t, err)
	<-z.closed
	require.NoError(t, i.(sdk.Closer).Close())
	require.ErrorIs(t, i.(sdk.Checker).Check(t.Context()), plugin.ErrReopen)
}

func TestOpenRefusesAMissingCapability(t *testing.T) {
	t.Parallel()
	_, err := connect(t, liar{}).Open(t.Context(), sdk.Integration{})
	require.ErrorContains(t, errorWith(t, err, sdk.ClassSystem, "capability_missing"), `"check"`)
}

// liar lists a capability that its instances do not have.
type liar struct{}

func (liar) Manifest() sdk.Manifest {
	return sdk.Manifest{Name: "liar", Label: "Liar", Version: "1", Connectors: []sdk.Connector{{Name: "a"}}, Capabilities: []sdk.Capability{sdk.CanCheck}}
}

func (l liar) Open(context.Context, sdk.Integration) (sdk.Instance, error) { return l, nil }

func (liar) GetStreams(context.Context, sdk.PlanCall, *sdk.Emitter) error { return nil }

func (liar) ProcessStream(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
	return sdk.Outcome{}, nil
}

// rows: K18
func TestUnknownHandleAsksToReopen(t *testing.T) {
	t.Parallel()
	z := &zoo{check: func(context.Context) error { return nil }}
	i := opened(t, z)
	require.NoError(t, i.(sdk.Checker).Check(t.Context()))
	require.NoError(t, i.(sdk.Closer).Close())
	require.ErrorIs(t, i.(sdk.Checker).Check(t.Context()), plugin.ErrReopen)
	_, err := i.ProcessStream(t.Context(), sdk.StreamCall{}, sdk.NewEmitter(&sink{}))
	require.ErrorIs(t, err, plugin.ErrReopen)
	require.ErrorIs(t, i.GetStreams(t.Context(), sdk.PlanCall{}, sdk.NewEmitter(&sink{})), plugin.ErrReopen)
	require.NoError(t, i.(sdk.Closer).Close(), "closing twice is no error")
}

func TestCloseWaitsForCallsUnderWay(t *testing.T) {
	t.Parallel()
	started, goOn := make(chan struct{}), make(chan struct{})
	z := &zoo{closed: make(chan struct{}), check: func(context.Context) error { close(started); <-goOn; return nil }}
	i := opened(t, z)
	done := make(chan error, 1)
	go func() { done <- i.(sdk.Checker).Check(t.Context()) }()
	<-started
	require.NoError(t, i.(sdk.Closer).Close())
	select {
	case <-z.closed:
		require.Fail(t, "closed under a call")
	default:
	}
	close(goOn)
	require.NoError(t, <-done)
	<-z.closed
}

// rows: K02, K03
func TestProcessStream(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	call := sdk.StreamCall{
		Run: sdk.Run{
			ID: "r1", Kind: sdk.RunManual, Onboarding: true, Connectors: []string{"animals"}, Params: map[string]string{"since": "x"},
			StartedAt: at, Watermarks: map[string]time.Time{"animals": at.Add(-time.Hour)}, Preprocessed: []byte("pre"),
		},
		Stream:     sdk.Stream{ID: "s1", Connector: "animals", Data: []byte{0, 1}, Partition: "p", LimitKey: "k"},
		Page:       []byte("page"),
		Checkpoint: []byte{},
		Cursor:     nil,
		Attempt:    3,
		PageSize:   50,
	}
	want := sdk.Outcome{
		NextPage: []byte{}, Cursor: []byte("c2"), LastRecord: "r9", LastRecordTimestamp: at, Sleep: time.Minute,
		RateLimit: &sdk.RateLimit{Key: "k", Until: at},
	}
	record := func(id string) sdk.Record {
		return sdk.Record{Kind: "animal", ID: id, Parent: sdk.Ref{Kind: "house", ID: "h"}, Version: "\xff1", OccurredAt: at, Data: []byte(`{"a":1,"b":2}`)}
	}
	z := &zoo{process: func(ctx context.Context, got sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if !equal(t, call, got) {
			return sdk.Outcome{}, errors.New("another call")
		}
		unsorted := record("1")
		unsorted.Data = []byte(`{ "b": 2, "a": 1 }`)
		err := errors.Join(
			out.Record(ctx, unsorted),
			out.Record(ctx, record("2")),
			out.Stream(ctx, sdk.Stream{ID: "s2", Connector: "animals"}),
			out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("one"), Cursor: []byte("c1")}),
			out.Record(ctx, sdk.Record{Kind: "animal", ID: "3", Delete: true}),
			out.Setting(ctx, "key", map[string]int{"z": 1}),
			out.Warn(ctx, "4", "skipped \xff"),
			out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("two")}),
			out.Record(ctx, record("5")),
		)
		return want, err
	}}
	s := &sink{}
	got, err := opened(t, z).ProcessStream(t.Context(), call, sdk.NewEmitter(s))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, []string{"batch 3", "checkpoint one", "batch 3", "checkpoint two", "batch 1"}, s.order)
	require.Equal(t, []sdk.Checkpoint{{Data: []byte("one"), Cursor: []byte("c1")}, {Data: []byte("two")}}, s.checkpoints)
	require.Equal(t, []sdk.Batch{
		{Records: []sdk.Record{record("1"), record("2")}, Streams: []sdk.Stream{{ID: "s2", Connector: "animals"}}},
		{
			Records:  []sdk.Record{{Kind: "animal", ID: "3", Delete: true}},
			Settings: map[string][]byte{"key": []byte(`{"z":1}`)},
			Warnings: []sdk.Warning{{RecordID: "4", Message: "skipped "}},
		},
		{Records: []sdk.Record{record("5")}},
	}, s.batches)
}

func equal(t *testing.T, want, got any) bool {
	t.Helper()
	ok := reflect.DeepEqual(want, got)
	if !ok {
		t.Errorf("got %+v, not %+v", got, want)
	}
	return ok
}

func TestGetStreamsResumes(t *testing.T) {
	t.Parallel()
	z := &zoo{plan: func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		if string(call.Checkpoint) != "half" {
			return errors.Join(out.Stream(ctx, sdk.Stream{ID: "a", Connector: "animals"}), out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("half")}), errors.New("broken"))
		}
		return out.Stream(ctx, sdk.Stream{ID: "b", Connector: "animals"})
	}}
	i, s := opened(t, z), &sink{}
	requireSystem(t, i.GetStreams(t.Context(), sdk.PlanCall{}, sdk.NewEmitter(s)), "plugin_error")
	require.NoError(t, i.GetStreams(t.Context(), sdk.PlanCall{Checkpoint: s.checkpoints[0].Data}, sdk.NewEmitter(s)))
	require.Equal(t, []string{"batch 1", "checkpoint half", "batch 1"}, s.order)
}

// What followed the last checkpoint is not sent when the call fails.
// rows: K02
func TestAFailedCallSendsNoRest(t *testing.T) {
	t.Parallel()
	z := &zoo{process: func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, errors.Join(out.Record(ctx, sdk.Record{Kind: "animal", ID: "1", Data: []byte(`{}`)}), sdk.RateLimitedFor(time.Minute))
	}}
	s := &sink{}
	_, err := opened(t, z).ProcessStream(t.Context(), sdk.StreamCall{}, sdk.NewEmitter(s))
	require.Equal(t, time.Minute, errorWith(t, err, sdk.ClassRateLimited, "rate_limited").Limit.After)
	require.Empty(t, s.order)
}

func TestSinkErrorEndsTheCall(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	z := &zoo{process: func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		for n := 0; ; n++ {
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("more")}); err != nil {
				ended <- err
				return sdk.Outcome{}, err
			}
		}
	}}
	boom := errors.New("boom")
	_, err := opened(t, z).ProcessStream(t.Context(), sdk.StreamCall{}, sdk.NewEmitter(&sink{fail: boom}))
	require.ErrorIs(t, err, boom)
	require.ErrorIs(t, <-ended, context.Canceled)
}

// rows: C08, C20, C21, O21
func TestOptionalCalls(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := sdk.FinishedCall{Run: sdk.Run{ID: "r"}, Stream: sdk.Stream{ID: "s", Connector: "animals"}, NextPage: []byte("n"), LastRecord: "42", LastRecordTimestamp: at}
	z := &zoo{
		pre: func(_ context.Context, run sdk.Run) ([]byte, error) { return []byte("for " + run.ID), nil },
		finished: func(_ context.Context, got sdk.FinishedCall) (bool, error) {
			return equal(t, want, got), nil
		},
		post: func(_ context.Context, run sdk.Run) (map[string][]byte, error) {
			return map[string][]byte{"seen": run.Preprocessed}, nil
		},
		invoke: func(_ context.Context, call sdk.HookCall) (sdk.HookResult, error) {
			return sdk.HookResult{Payload: append([]byte(call.Name), call.Payload...)}, nil
		},
	}
	ask := sdk.AllowedCall{Run: sdk.Run{ID: "r"}, Connector: "animals", Results: []sdk.ConnectorResult{{
		Connector: "plants", Code: "partial", Message: "why", Read: 7, Added: 1, Updated: 2, Deleted: 3, Unchanged: 1, Processed: 4, Failed: 5,
	}}}
	z.allowed = func(_ context.Context, got sdk.AllowedCall) (sdk.Verdict, error) {
		return sdk.Verdict{Skip: equal(t, ask, got), Reason: "no plants"}, nil
	}
	i := opened(t, z)
	verdict, err := i.(sdk.Allower).Allowed(t.Context(), ask)
	require.NoError(t, err)
	require.Equal(t, sdk.Verdict{Skip: true, Reason: "no plants"}, verdict)
	data, err := i.(sdk.Preprocessor).Preprocess(t.Context(), sdk.Run{ID: "r1"})
	require.NoError(t, err)
	require.Equal(t, "for r1", string(data))
	done, err := i.(sdk.Finisher).IsProcessingFinished(t.Context(), want)
	require.NoError(t, err)
	require.True(t, done)
	settings, err := i.(sdk.Postprocessor).Postprocess(t.Context(), sdk.Run{Preprocessed: []byte(`"x"`)})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"seen": []byte(`"x"`)}, settings)
	_, err = i.(sdk.Postprocessor).Postprocess(t.Context(), sdk.Run{Preprocessed: []byte(`{`)})
	requireSystem(t, err, "plugin_protocol")
	attributes, err := i.(sdk.Attributer).CreateAttributes(t.Context())
	require.NoError(t, err)
	require.Equal(t, []sdk.Attribute{{Name: "legs", Label: "Legs", Type: "number"}}, attributes)
	result, err := i.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: "call.started", Payload: []byte(`{}`)})
	require.NoError(t, err)
	require.Equal(t, "call.started{}", string(result.Payload))
}

func TestErrorsCross(t *testing.T) {
	t.Parallel()
	for _, class := range []sdk.Class{sdk.ClassConfig, sdk.ClassAuth, sdk.ClassTransient, sdk.ClassRateLimited, sdk.ClassRemote, sdk.ClassSystem} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			want := &sdk.Error{Class: class, Code: "code", Message: "words", Limit: &sdk.RateLimit{Key: "k", After: time.Second}, Safe: true, AbortRun: true}
			z := &zoo{check: func(context.Context) error { return errors.Join(errors.New("around"), want) }}
			got, ok := errors.AsType[*sdk.Error](opened(t, z).(sdk.Checker).Check(t.Context()))
			require.True(t, ok)
			require.Equal(t, want, got)
		})
	}
}

func TestLongMessageIsCut(t *testing.T) {
	t.Parallel()
	z := &zoo{check: func(context.Context) error { return errors.New(strings.Repeat("ü", 1<<20)) }}
	e := errorWith(t, opened(t, z).(sdk.Checker).Check(t.Context()), sdk.ClassSystem, "plugin_error")
	require.LessOrEqual(t, len(e.Message), 1<<10)
}

// rows: H11
func TestPanicFailsItsCallAlone(t *testing.T) {
	t.Parallel()
	z := &zoo{
		check: func(context.Context) error { return at(nil, 7) },
		process: func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
			return sdk.Outcome{}, at(nil, 8)
		},
		invoke: func(context.Context, sdk.HookCall) (sdk.HookResult, error) { return sdk.HookResult{}, nil },
	}
	i := opened(t, z)
	require.ErrorContains(t, errorWith(t, i.(sdk.Checker).Check(t.Context()), sdk.ClassSystem, "plugin_panic"), "index out of range [7]")
	_, err := i.ProcessStream(t.Context(), sdk.StreamCall{}, sdk.NewEmitter(&sink{}))
	require.ErrorContains(t, errorWith(t, err, sdk.ClassSystem, "plugin_panic"), "index out of range")
	_, err = i.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{})
	require.NoError(t, err)
}

func at(errs []error, i int) error { return errs[i] }

// rows: K24, H12
func TestTooLargeMessages(t *testing.T) {
	t.Parallel()
	z := &zoo{
		invoke: func(context.Context, sdk.HookCall) (sdk.HookResult, error) {
			return sdk.HookResult{Payload: make([]byte, 5<<20)}, nil
		},
		process: func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
			return sdk.Outcome{}, out.Checkpoint(ctx, sdk.Checkpoint{Data: make([]byte, 5<<20)})
		},
	}
	i := opened(t, z)
	_, err := i.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{})
	requireSystem(t, err, "message_too_large")
	_, err = i.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Payload: make([]byte, 5<<20)})
	requireSystem(t, err, "message_too_large")
	_, err = i.ProcessStream(t.Context(), sdk.StreamCall{}, sdk.NewEmitter(&sink{}))
	requireSystem(t, err, "message_too_large")
}

func TestCancelEndsTheCall(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	z := &zoo{check: func(ctx context.Context) error { <-ctx.Done(); ended <- ctx.Err(); return ctx.Err() }}
	i := opened(t, z)
	why := errors.New("the host stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- i.(sdk.Checker).Check(ctx) }()
	cancel(why)
	require.ErrorIs(t, <-done, why)
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(50 * time.Millisecond): // the call may have ended before it was sent
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	require.ErrorIs(t, i.(sdk.Checker).Check(ctx), context.DeadlineExceeded)
}
