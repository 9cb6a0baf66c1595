package runner_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
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

// What Preprocess made and what GetStreams listed are there for all of the run: after
// a restart of the host, and when a person goes on with it after its end.
//
// rows: C08, C10, C37
func TestPreprocessAndPlanAreOnceARun(t *testing.T) {
	t.Parallel()
	var preprocessed, planned int
	var got []string
	var reached chan struct{} // made in the bubble
	s := &script{}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanPreprocess}
	s.preprocess = func(context.Context, sdk.Run) ([]byte, error) {
		preprocessed++
		return []byte("prepared"), nil
	}
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		planned++
		return planOf("a", "b")(ctx, call, out)
	}
	s.process = func(ctx context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		got = append(got, call.Stream.ID+" "+string(call.Run.Preprocessed))
		switch len(got) {
		case 1: // until the host stops
			close(reached)
			<-ctx.Done()
			return sdk.Outcome{}, ctx.Err()
		case 2:
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassConfig, Code: "bad", Message: "no"}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		reached = make(chan struct{})
		w.conc = 1
		w.up()
		<-reached
		w.down()
		w.up()
		run := w.until(store.RunPartial)
		_, err := w.db.ContinueRun(t.Context(), run.ID)
		require.NoError(t, err)
		w.until(store.RunProcessed)
		require.Len(t, got, 4, "one that was stopped, one that failed, and both")
		for _, g := range got {
			require.Contains(t, []string{"a prepared", "b prepared"}, g)
		}
		require.Equal(t, []int{1, 1}, []int{preprocessed, planned})
	})
}

// A run whose streams could not be listed had none, and so was processed, with the
// mail that all is done.
//
// rows: C10, D01
func TestD01APlanThatFailsIsAnErrorNeverProcessed(t *testing.T) {
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

// A page that leads back to one before it fails its stream at once, with a name for
// that; what came before stays, and the others go on.
//
// rows: K08, K11, F24
func TestAPageThatComesAgainFailsItsStream(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("loop", "good")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if err := thing(ctx, out, call.Stream.ID+string(call.Page)); err != nil || call.Stream.ID == "good" {
			return sdk.Outcome{}, err
		}
		next := map[string]string{"": "1", "1": "2", "2": "1"}[string(call.Page)]
		return sdk.Outcome{NextPage: []byte(next)}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		require.Equal(t, store.RunPartial, w.until(store.RunPartial, store.RunProcessed, store.RunError).State)
		loop := w.streams()["loop"]
		require.Equal(t, store.StreamError, loop.State)
		require.Equal(t, "page_loop", loop.Failure.Code)
		require.Equal(t, 1, loop.Failure.Attempt, "it would come again each time")
		require.Zero(t, loop.Interrupts, "the plugin has answered")
		require.Len(t, w.records(), 3, "the page that leads back is not stored")
	})
}

// rows: C27, C28, D02, D10, K11, O22, F23
func TestOneStreamFailsForGoodTheOthersGoOn(t *testing.T) {
	t.Parallel()
	long(t)
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
		require.Zero(t, bad.Interrupts, "each try had an answer")
		require.Empty(t, s.alone, "and none made it a suspect")
	})
}

// A run of which every stream was given up was processed, and one with a stream
// that would be tried again was an error.
//
// rows: C28, D02
func TestD02NothingProcessedIsAnError(t *testing.T) {
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
		synctest.Wait()
		require.Equal(t, store.RunCheck, w.run().Kind)
		require.Len(t, s.calls()[onboarding:], 4, "a ends after a page, b goes on")
		require.Equal(t, "m9", asked[0].LastRecord)
		require.True(t, when.Equal(asked[0].LastRecordTimestamp))
		for _, call := range asked {
			require.NotEmpty(t, call.NextPage, "asked for a next page alone")
		}
	})
}

// rows: C09
func TestAttributesAreAskedForOnce(t *testing.T) {
	t.Parallel()
	asked := 0
	s := &script{plan: planOf()}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanCreateAttributes}
	s.attributes = func(context.Context) []sdk.Attribute {
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
		in, err := w.db.IntegrationByName(t.Context(), "acme", "one")
		require.NoError(t, err)
		kept, err := w.db.Attributes(t.Context(), in.TenantID)
		require.NoError(t, err)
		require.Equal(t, map[string][]store.Attribute{"script": {{Name: "title", Label: "Title", Type: "string"}}}, kept)
	})
}

// rows: K01, F24
func TestAPlanOfThousandsNeedsNoCheckpoint(t *testing.T) {
	t.Parallel()
	long(t)
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

// rows: O26
func TestWarningsAreCountedKeptAndLogged(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		for n := range store.MaxWarningsKept + 50 {
			if err := out.Warn(ctx, "r"+strconv.Itoa(n), "no date"); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		var log bytes.Buffer
		w.opts.Log = hclog.New(&hclog.LoggerOptions{Output: &log})
		w.up()
		w.until(store.RunProcessed)
		require.NotContains(t, log.String(), "no date", "nobody asked for it")
		w.warn = true
		w.create("told")
		run := w.until(store.RunProcessed)
		require.Equal(t, "told", run.Integration)
		require.Equal(t, int64(store.MaxWarningsKept+50), run.Stats.Warnings, "a bad record is counted, and fails nothing")
		kept, err := w.db.Warnings(t.Context(), run.ID, 1000)
		require.NoError(t, err)
		require.Len(t, kept, store.MaxWarningsKept)
		require.Equal(t, "r0", kept[0].RecordID)
		require.Equal(t, store.MaxWarningsKept+50, strings.Count(log.String(), "reason=\"no date\""))
	})
}
