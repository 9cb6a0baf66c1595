package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type settings struct {
	Token sdk.Secret `json:"token"`
	Deep  []struct {
		Key sdk.Secret `json:"key"`
	} `json:"deep,omitempty"`
}

// model is a plugin that keeps every rule but the one that a test breaks.
type model struct {
	settings
	manifest func(sdk.Manifest) sdk.Manifest
	open     func() error
	plan     func(ctx context.Context, m model, out *sdk.Emitter) error
	process  func(ctx context.Context, m model, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error)
	closing  error
}

func (m model) Manifest() sdk.Manifest {
	all := sdk.Manifest{
		Name: "model", Label: "Model", Version: "1.0.0", Settings: settings{},
		Connectors:   []sdk.Connector{{Name: "things", Versions: true}, {Name: "people"}},
		Capabilities: []sdk.Capability{sdk.CanPreprocess, sdk.CanPostprocess, sdk.CanFinish},
	}
	if m.manifest != nil {
		return m.manifest(all)
	}
	return all
}

func (m model) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	if err := in.Settings.Decode(&m.settings); err != nil {
		return nil, err
	}
	if m.open != nil {
		return m, m.open()
	}
	return m, nil
}

func (m model) GetStreams(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
	if m.plan != nil {
		return m.plan(ctx, m, out)
	}
	if call.Checkpoint == nil {
		err := errors.Join(out.Stream(ctx, sdk.Stream{ID: "a", Connector: "things", Partition: "a"}), out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("1")}))
		if err != nil {
			return err
		}
	}
	return out.Stream(ctx, sdk.Stream{ID: "b", Connector: "people"})
}

func (m model) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	if m.process != nil {
		return m.process(ctx, m, call, out)
	}
	return steps(ctx, call, out)
}

// steps emits 6 records on 2 pages, with a checkpoint after each.
func steps(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	if call.Stream.Connector == "people" {
		m := sdk.Member{Identities: []sdk.Identity{{Platform: "model", Username: "ann"}}}
		return sdk.Outcome{}, errors.Join(
			out.Member(ctx, m),
			out.Activity(ctx, sdk.Activity{ID: "x", Type: "wave", Timestamp: time.Unix(1, 0), Member: &m}),
		)
	}
	first := 0
	if call.Page != nil {
		first = 3
	}
	n := first
	if call.Checkpoint != nil {
		n, _ = strconv.Atoi(string(call.Checkpoint))
	}
	for ; n < first+3; n++ {
		err := errors.Join(
			out.Record(ctx, sdk.Record{Kind: "thing", ID: strconv.Itoa(n), Version: "1", Data: fmt.Appendf(nil, `{"n":%d}`, n)}),
			out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n + 1)), Cursor: []byte(strconv.Itoa(n + 1))}),
		)
		if err != nil {
			return sdk.Outcome{}, err
		}
	}
	if first == 0 {
		return sdk.Outcome{NextPage: []byte("2"), RateLimit: &sdk.RateLimit{After: time.Hour}}, nil
	}
	return sdk.Outcome{Cursor: []byte("end")}, nil
}

func (m model) Preprocess(context.Context, sdk.Run) ([]byte, error) { return []byte("pre"), nil }

func (m model) Postprocess(_ context.Context, r sdk.Run) (map[string][]byte, error) {
	return map[string][]byte{"pre": []byte(strconv.Quote(string(r.Preprocessed)))}, nil
}

func (m model) IsProcessingFinished(_ context.Context, call sdk.FinishedCall) (bool, error) {
	return call.Stream.ID == "a", nil
}

func (m model) Close() error { return m.closing }

func options() sdktest.Options {
	return sdktest.Options{Settings: []byte(`{"token":"t0p-s\"cret","deep":[{"key":"deep-secret"}]}`), BadSettings: []byte(`{"tokn":"x"}`), MaxPages: 20}
}

func TestExercise(t *testing.T) {
	t.Parallel()
	require.NoError(t, sdktest.Exercise(t.Context(), model{}, options()))
}

func TestExerciseOverTheWire(t *testing.T) {
	t.Parallel()
	client, stop, err := plugin.OverWire(t.Context(), model{})
	require.NoError(t, err)
	t.Cleanup(stop)
	require.NoError(t, sdktest.Exercise(t.Context(), client, options()))
}

func TestExerciseReports(t *testing.T) {
	t.Parallel()
	type emit func(ctx context.Context, m model, out *sdk.Emitter) error
	plan := func(f emit) model { return model{plan: f} }
	process := func(f func(ctx context.Context, m model, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error)) model {
		return model{process: f}
	}
	outcome := func(o sdk.Outcome) model {
		return process(func(context.Context, model, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return o, nil })
	}
	stream := func(connector, partition string, data func(model) string) emit {
		return func(ctx context.Context, m model, out *sdk.Emitter) error {
			return out.Stream(ctx, sdk.Stream{ID: "s", Connector: connector, Partition: partition, Data: []byte(data(m))})
		}
	}
	none := func(model) string { return "" }
	var asked atomic.Int64
	for name, c := range map[string]struct {
		plugin sdk.Plugin
		want   string
	}{
		"Manifest":      {model{manifest: func(m sdk.Manifest) sdk.Manifest { m.Label = "x"; return m }}, `label "x"`},
		"ManifestTwice": {model{manifest: func(m sdk.Manifest) sdk.Manifest { m.Every = int(asked.Add(1)); return m }}, "differs when asked twice"},
		"BadSettings":   {lenient{}, "the bad settings are taken"},
		"WrongClass":    {model{open: func() error { return errors.New("no") }}, "open: no"},
		"Capability":    {model{manifest: func(m sdk.Manifest) sdk.Manifest { m.Capabilities = []sdk.Capability{sdk.CanCheck}; return m }}, "capability_missing"},
		"NoStream":      {plan(func(context.Context, model, *sdk.Emitter) error { return nil }), "no stream"},
		"StreamTwice": {plan(func(ctx context.Context, m model, out *sdk.Emitter) error {
			return errors.Join(stream("things", "a", none)(ctx, m, out), stream("things", "a", none)(ctx, m, out))
		}), "stream s is emitted twice"},
		"Connector":     {plan(stream("others", "", none)), `no connector "others"`},
		"SecretInData":  {plan(stream("things", "a", func(m model) string { return "Bearer " + m.Token.Reveal() })), "stream s: a secret"},
		"DeepSecret":    {plan(stream("things", "a", func(m model) string { return m.Deep[0].Key.Reveal() })), "stream s: a secret"},
		"EndlessPages":  {outcome(sdk.Outcome{NextPage: []byte("again")}), "no end after 20 pages"},
		"PageLoop":      {outcome(sdk.Outcome{NextPage: []byte("again")}), "comes again"},
		"RateLimit":     {outcome(sdk.Outcome{RateLimit: &sdk.RateLimit{After: 1, Until: time.Unix(1, 0)}}), "both After and Until"},
		"ForeignCursor": {outcome(sdk.Outcome{Cursor: []byte("c")}), "owns no partition"},
		"Close":         {model{closing: errors.New("stuck")}, "close: stuck"},
		"Partition": {plan(func(ctx context.Context, _ model, out *sdk.Emitter) error {
			return errors.Join(
				out.Stream(ctx, sdk.Stream{ID: "a", Connector: "things", Partition: "p"}),
				out.Stream(ctx, sdk.Stream{ID: "b", Connector: "things", Partition: "p"}),
			)
		}), "partition things/p is owned by stream a"},
		"Version": {process(func(ctx context.Context, _ model, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
			return sdk.Outcome{}, out.Record(ctx, sdk.Record{Kind: "thing", ID: "1", Data: []byte(`{}`)})
		}), "has no version"},
		"NoID": {process(func(ctx context.Context, _ model, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
			return sdk.Outcome{}, out.Record(ctx, sdk.Record{Kind: "thing", Data: []byte(`{}`)})
		}), "is empty"},
		"Different": {process(func(ctx context.Context, _ model, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
			return sdk.Outcome{}, out.Record(ctx, sdk.Record{Kind: "thing", ID: "1", Version: "1", Data: fmt.Appendf(nil, `{"n":%d}`, asked.Add(1))})
		}), "second run: record thing 1 differs"},
		"Resume": {process(func(ctx context.Context, _ model, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
			if call.Stream.ID == "a" && call.Checkpoint != nil {
				return sdk.Outcome{}, nil // forgets the rest
			}
			return steps(ctx, call, out)
		}), "resumed at checkpoint 1: record thing 1 is missing"},
		"SegmentSize": {process(func(ctx context.Context, _ model, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
			for n := range 5 {
				data := append(append([]byte(`{"x":"`), make900k()...), `"}`...)
				if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: strconv.Itoa(n), Version: "1", Data: data}); err != nil {
					return sdk.Outcome{}, err
				}
			}
			return sdk.Outcome{}, nil
		}), "emit a checkpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, sdktest.Exercise(t.Context(), c.plugin, options()), c.want)
		})
	}
}

func make900k() []byte {
	b := make([]byte, 900<<10)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

// lenient takes any settings.
type lenient struct{ model }

func (lenient) Open(context.Context, sdk.Integration) (sdk.Instance, error) { return lenient{}, nil }

func TestExerciseReportsACallThatIgnoresCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		var calls atomic.Int64
		m := model{process: func(ctx context.Context, _ model, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
			outcome, err := steps(ctx, call, out)
			if ctx.Err() != nil && calls.Add(1) == 1 {
				<-goOn
			}
			return outcome, err
		}}
		require.ErrorContains(t, sdktest.Exercise(t.Context(), m, options()), "does not end within 5s")
		close(goOn)
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	got, err := sdktest.Run(t.Context(), model{}, options())
	require.NoError(t, err)
	require.Len(t, got.Records, 6)
	require.Len(t, got.Members, 1)
	require.Len(t, got.Activities, 1)
	require.Len(t, got.Streams, 2)
	require.Equal(t, 3, got.Pages)
	require.Equal(t, map[string][]byte{"things/a": []byte("end")}, got.Cursors)
	require.Equal(t, map[string][]byte{"pre": []byte(`"pre"`)}, got.Settings)

	opts := options()
	opts.Cursors = got.Cursors // no onboarding: the plugin may end streams early
	got, err = sdktest.Run(t.Context(), model{}, opts)
	require.NoError(t, err)
	require.Len(t, got.Records, 3)
	require.Equal(t, []byte("3"), got.Cursors["things/a"])
}

func TestHost(t *testing.T) {
	t.Parallel()
	h := sdktest.NewHost()
	_, err := h.Credential(t.Context(), "t", 0)
	require.ErrorIs(t, err, sdk.ErrNoCredential)
	_, granted, err := h.BeginRefresh(t.Context(), "t", 0)
	require.NoError(t, err)
	require.True(t, granted)
	second := make(chan sdk.Credential, 1)
	go func() {
		c, granted, err := h.BeginRefresh(t.Context(), "t", 0)
		if err == nil && !granted {
			second <- c
		}
		close(second)
	}()
	_, err = h.CommitCredential(t.Context(), "t", 0, sdk.NewSecret("x"), time.Time{})
	require.NoError(t, err)
	require.Equal(t, int64(1), (<-second).Version)
	_, err = h.CommitCredential(t.Context(), "t", 0, sdk.NewSecret("y"), time.Time{})
	require.Error(t, err)
}

// allowing is a model whose connectors have an order and a say in each run.
type allowing struct {
	model
	verdict func(sdk.AllowedCall) sdk.Verdict
}

func (a allowing) Manifest() sdk.Manifest {
	m := a.model.Manifest()
	m.Connectors[0].Order = 1
	m.Capabilities = append(m.Capabilities, sdk.CanAllow)
	return m
}

func (a allowing) Open(ctx context.Context, in sdk.Integration) (sdk.Instance, error) {
	i, err := a.model.Open(ctx, in)
	if err == nil {
		a.model, _ = i.(model)
	}
	return a, err
}

func (a allowing) Allowed(_ context.Context, call sdk.AllowedCall) (sdk.Verdict, error) {
	return a.verdict(call), nil
}

// rows: O20, O21
func TestRunAsksEachConnector(t *testing.T) {
	t.Parallel()
	var order []string
	result, err := sdktest.Run(t.Context(), allowing{verdict: func(call sdk.AllowedCall) sdk.Verdict {
		order = append(order, call.Connector)
		if call.Connector != "things" {
			return sdk.Verdict{}
		}
		require.Equal(t, []sdk.ConnectorResult{{Connector: "people", Code: "completed", Read: 2, Processed: 1}}, call.Results)
		return sdk.Verdict{Skip: true, Reason: "no people"}
	}}, options())
	require.NoError(t, err)
	require.Equal(t, []string{"people", "things"}, order)
	require.Equal(t, map[string]string{"things": "no people"}, result.Skipped)
	require.Empty(t, result.Records)
	require.Len(t, result.Members, 1)

	err = sdktest.Exercise(t.Context(), allowing{verdict: func(sdk.AllowedCall) sdk.Verdict { return sdk.Verdict{Skip: true} }}, options())
	require.ErrorContains(t, err, "connector people: allowed: it skips itself without a reason")
}
