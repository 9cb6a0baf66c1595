package runner_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: C12, C13, C14, K05
func TestEveryOperationIsApplied(t *testing.T) {
	t.Parallel()
	for name, checkpoint := range map[string]func(context.Context, *sdk.Emitter) error{
		"with the end": func(context.Context, *sdk.Emitter) error { return nil },
		"with a checkpoint": func(ctx context.Context, out *sdk.Emitter) error {
			return out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("1")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			applyEveryOperation(t, checkpoint)
		})
	}
}

// applyEveryOperation sends one of each, then what checkpoint does, and looks at what
// the store has.
func applyEveryOperation(t *testing.T, checkpoint func(context.Context, *sdk.Emitter) error) {
	t.Helper()
	s := &script{plan: planOf("a")}
	at := time.Date(2023, 5, 1, 10, 0, 0, 0, time.UTC)
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		ann := sdk.Member{ID: "ann", DisplayName: "Ann", Reach: map[string]int64{"twitter": 1}}
		for _, err := range []error{
			out.Member(ctx, sdk.Member{ID: "ann", Update: true, Reach: map[string]int64{"twitter": 9}}), // before its member
			out.Activity(ctx, sdk.Activity{ID: "act", Type: "comment", Platform: "devto", Timestamp: at, Score: 6, Member: &ann}),
			out.Member(ctx, sdk.Member{ID: "bob", DisplayName: "Bob", Bio: "b"}),
			out.Member(ctx, sdk.Member{ID: "bob", Update: true, Clear: []string{"bio"}}),
			out.Record(ctx, sdk.Record{Kind: "thing", ID: "1", Data: []byte(`{"a":1,"b":2}`)}),
			out.Record(ctx, sdk.Record{Kind: "thing", ID: "1", Update: true, Data: []byte(`{"b":3}`)}),
			out.Record(ctx, sdk.Record{Kind: "thing", ID: "2", Delete: true}),
			out.Setting(ctx, "since", 1),
			out.Service(ctx, "team", "T1"),
			out.Warn(ctx, "3", "skipped"),
			checkpoint(ctx, out),
		} {
			if err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed)
		require.Equal(t, store.RunStats{Read: 8, Added: 4, Updated: 3, Deleted: 1, Warnings: 1}, run.Stats)
		require.Equal(t, map[string]string{
			"ann": `{"display_name":"Ann","reach":{"twitter":9}}`,
			"act": `{"member_id":"ann","platform":"devto","score":6,"timestamp":"2023-05-01T10:00:00Z","type":"comment"}`,
			"bob": `{"display_name":"Bob"}`,
			"1":   `{"a":1,"b":3}`,
			"2":   "",
		}, w.records())
		in, err := w.db.IntegrationByName(t.Context(), "acme", "one")
		require.NoError(t, err)
		require.JSONEq(t, `{"since":1}`, string(in.Patch))
		service, err := w.db.Services(t.Context(), in.TenantID, "script")
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"team": []byte(`"T1"`)}, service)
	})
}

// rows: C12
func TestServiceStateReachesEveryIntegrationOfTheTenant(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b")}
	s.manifest.Limits.PerRun = 1
	seen := map[string]map[string][]byte{}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		key := call.Run.ID + call.Stream.ID
		seen[key] = call.Run.Service
		return sdk.Outcome{}, out.Service(ctx, "from-"+key, map[string]any{"secret": "x"})
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunProcessed)
		require.Empty(t, seen["1a"])
		require.Equal(t, map[string][]byte{"from-1a": []byte(`{"secret":"x"}`)}, seen["1b"], "the next call has it")
		w.create("two")
		w.processed(2)
		require.Len(t, seen["2a"], 2)
		require.Len(t, seen["2b"], 3)
		require.Len(t, seen["1b"], 1, "what a call was given does not change")
	})
}

// rows: F25
func TestARecordTooLargeIsAWarningAndTheStreamGoesOn(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	large := `{"a":"` + strings.Repeat("x", sdk.MaxRecord) + `"}`
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if err := thing(ctx, out, "1"); err != nil {
			return sdk.Outcome{}, err
		}
		if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: "2", Data: []byte(large)}); err != nil {
			return sdk.Outcome{}, err
		}
		// Characters that take more room as JSON than the SDK has counted.
		if err := out.Member(ctx, sdk.Member{ID: "ann", Bio: strings.Repeat("\x01", sdk.MaxRecord/2)}); err != nil {
			return sdk.Outcome{}, err
		}
		return sdk.Outcome{Cursor: []byte("c")}, thing(ctx, out, "3")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed, store.RunError, store.RunPartial)
		require.Equal(t, store.RunProcessed, run.State)
		require.Equal(t, int64(2), run.Stats.Warnings)
		require.Len(t, w.records(), 2)
		warnings, err := w.db.Warnings(t.Context(), run.ID, 10)
		require.NoError(t, err)
		require.Len(t, warnings, 2)
		byRecord := map[string]string{}
		for _, w := range warnings {
			byRecord[w.RecordID] = w.Message
		}
		require.Regexp(t, `^record_too_large: thing 2 has 1048584 bytes, 1048576 are allowed \(sha256 [0-9a-f]{64}\)$`, byRecord["thing/2"])
		require.Regexp(t, `^record_too_large: member ann has \d+ bytes`, byRecord["member/ann"])
	})
}

// rows: C12
func TestAnUnknownOperationIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassSystem, Code: "unknown_operation", Message: "this host does not know the operation 9"}
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunError)
		require.Equal(t, "unknown_operation", w.streams()["a"].Failure.Code)
		require.Len(t, s.calls(), 1)
	})
}
