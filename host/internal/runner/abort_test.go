package runner_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// A plugin ends a stream, or the whole run, with a message and what it knows besides;
// neither is tried again, and what is kept of it is bounded and without secrets.
//
// rows: C47, C34
func TestAPluginAbortsAStreamOrTheRun(t *testing.T) {
	t.Parallel()
	details := map[string]string{"channel": "C012\x00", "token": "xoxb-secret", "long": strings.Repeat("x", 5000)}
	for n := range 40 {
		details[fmt.Sprintf("z%02d", n)] = "more"
	}
	for name, c := range map[string]struct {
		err     *sdk.Error
		run     store.RunState
		streams store.StreamCounts
	}{
		"stream": {sdk.AbortStream("gone", "the channel is gone", details), store.RunPartial, store.StreamCounts{Processed: 1, Error: 1}},
		"run":    {sdk.AbortRun("gone", "the channel is gone", details), store.RunError, store.StreamCounts{Cancelled: 1, Error: 1}},
		"run that is limited": {
			&sdk.Error{Class: sdk.ClassRateLimited, Code: "gone", Message: "the channel is gone", AbortRun: true, Details: details},
			store.RunError,
			store.StreamCounts{Cancelled: 1, Error: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{plan: planOf("a", "b")}
			s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
				if call.Stream.ID == "a" {
					return sdk.Outcome{}, c.err
				}
				return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
			}
			inWorld(t, s, func(t *testing.T, w *world) {
				w.conc = 1
				w.opts.Redact = func(s string) string { return strings.ReplaceAll(s, "xoxb-secret", "***") }
				w.up()
				run := w.until(store.RunPartial, store.RunError, store.RunProcessed)
				require.Equal(t, c.run, run.State)
				require.Equal(t, c.streams, run.Streams)
				require.Equal(t, "a  0", s.calls()[0])
				require.NotContains(t, s.calls(), "a  1", "it is not tried again")
				f := w.streams()["a"].Failure
				require.Equal(t, f, run.Failure)
				require.Equal(t, "gone", f.Code)
				require.Equal(t, "the channel is gone", f.Message)
				require.Len(t, f.Details, 16)
				require.Equal(t, "C012", f.Details["channel"])
				require.Equal(t, "***", f.Details["token"])
				require.Len(t, f.Details["long"], 1024)
			})
		})
	}
}

// Each failure counts as one attempt: it was counted by two hands, so that streams
// were given up after half of what was promised.
//
// rows: C27, D10
func TestD10EachFailureCountsOnce(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassTransient, Code: "later", Message: "try later"}
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.opts.Retries = 5
		w.opts.RetryBase = time.Second
		w.up()
		w.until(store.RunError)
		require.Equal(t, []string{"a  0", "a  1", "a  2", "a  3", "a  4", "a  5"}, s.calls())
		st := w.streams()["a"]
		require.Equal(t, 6, st.Attempts)
		require.Equal(t, 6, st.Failure.Attempt)
	})
}
