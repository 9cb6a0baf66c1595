package runner_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// typed is a script of one stream that emits records, a segment each, and moves its
// cursor to the number of each. It notes the cursor that each call gets.
func typed(said, cursors *[]string) *script {
	s := &script{plan: func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		return out.Stream(ctx, sdk.Stream{ID: "a", Connector: "things", Partition: "p"})
	}}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		*cursors = append(*cursors, string(call.Cursor))
		for n, data := range *said {
			if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: fmt.Sprint(n), Data: []byte(data)}); err != nil {
				return sdk.Outcome{}, err
			}
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("x"), Cursor: fmt.Append(nil, n)}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, nil
	}
	return s
}

// rows: F26
//
// A field whose type changes: passed, it is stored; in quarantine the record is left
// out with a warning that has its digest, and the rest goes on; halted, the stream
// ends by name and the cursor stays. Fields that are new, or null, are no change.
func TestATypeThatChanges(t *testing.T) {
	t.Parallel()
	before := []string{`{"size":1}`, `{"new":[1],"size":null}`}
	after := []string{`{"new":[],"size":2}`, `{"size":"large"}`, `{"size":3}`}
	for policy, c := range map[store.TypePolicy]struct {
		state   store.RunState
		records map[string]string
		cursor  string
	}{
		store.TypesPass:       {store.RunProcessed, map[string]string{"0": after[0], "1": after[1], "2": after[2]}, "2"},
		store.TypesQuarantine: {store.RunProcessed, map[string]string{"0": after[0], "1": before[1], "2": after[2]}, "2"},
		store.TypesHalt:       {store.RunError, map[string]string{"0": after[0], "1": before[1]}, "0"},
	} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			said, cursors := before, []string(nil)
			s := typed(&said, &cursors)
			inWorld(t, s, func(t *testing.T, w *world) {
				w.types = policy
				w.up()
				w.until(store.RunProcessed)
				w.down() // what is known outlives the process
				said = after
				w.up()
				run := w.ask(2, false)
				require.Equal(t, c.state, run.State)
				require.Equal(t, c.records, w.records())
				warnings, err := w.db.Warnings(t.Context(), run.ID, 10)
				require.NoError(t, err)
				const want = `^type_changed: field "size" of thing 1 was a number and is a string \(sha256 [0-9a-f]{64}\)$`
				switch policy {
				case store.TypesQuarantine:
					require.Len(t, warnings, 1)
					require.Equal(t, "thing/1", warnings[0].RecordID)
					require.Regexp(t, want, warnings[0].Message)
				case store.TypesHalt:
					f := w.streams()["a"].Failure
					require.Regexp(t, want, f.Code+": "+f.Message)
					require.Equal(t, 1, w.streams()["a"].Attempts, "it is not tried again")
					fallthrough
				default:
					require.Empty(t, warnings)
				}
				w.ask(3, false)
				require.Equal(t, []string{"", "1", c.cursor}, cursors, "what is not stored moves no cursor")
			})
		})
	}
}

// rows: F26
//
// A forced run takes the types as they come, and they hold from then on.
func TestAForcedRunLearnsTypesAnew(t *testing.T) {
	t.Parallel()
	said := []string{`{"size":1}`, `{"tag":"a"}`}
	s := typed(&said, &[]string{})
	inWorld(t, s, func(t *testing.T, w *world) {
		w.types = store.TypesHalt
		w.up()
		w.until(store.RunProcessed)
		said = []string{`{"size":"large"}`, `{"tag":["a"]}`}
		require.Equal(t, store.RunError, w.ask(2, false).State)
		require.Equal(t, store.RunProcessed, w.ask(3, true).State)
		require.Equal(t, store.RunProcessed, w.ask(4, false).State)
		said = []string{`{"size":1}`}
		require.Equal(t, store.RunError, w.ask(5, false).State)
		known, err := w.db.Shapes(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, store.Shapes{"thing": {"size": "string", "tag": "array"}}, known)
	})
}

// rows: F26, I11
//
// What is known of types is bounded; what comes beyond is stored and not watched.
func TestI11TypesAreBounded(t *testing.T) {
	t.Parallel()
	said := []string{"{", "{"}
	for n := range store.MaxShapeFields + 5 {
		comma := ","
		if n == 0 {
			comma = ""
		}
		said[0] += fmt.Sprintf(`%s"%05d":1`, comma, n)
		said[1] += fmt.Sprintf(`%s"%05d":%d`, comma, n, n)
	}
	said[0] += "}"
	said[1] += `,"zzz":"x"}`
	s := typed(&said, &[]string{})
	inner := s.process
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		outcome, err := inner(ctx, call, out)
		for n := range store.MaxShapeKinds + 5 {
			if err == nil {
				err = out.Record(ctx, sdk.Record{Kind: fmt.Sprintf("kind%d", n), ID: "1", Data: []byte(`{"a":1}`)})
			}
		}
		return outcome, err
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.types = store.TypesHalt
		w.up()
		require.Equal(t, store.RunProcessed, w.until(store.RunProcessed, store.RunError, store.RunPartial).State)
		known, err := w.db.Shapes(t.Context(), 1)
		require.NoError(t, err)
		require.Len(t, known, store.MaxShapeKinds)
		require.Len(t, known["thing"], store.MaxShapeFields)
		require.Equal(t, int64(2+store.MaxShapeKinds+5), w.run().Stats.Added, "all of them are stored")
	})
}

// ask asks for a run, which is the one of that number, and waits for its end.
func (w *world) ask(id int64, force bool) store.Run {
	w.t.Helper()
	_, _, err := w.db.RequestRun(w.t.Context(), store.RunRequest{IntegrationID: 1, Kind: store.RunManual, Force: force})
	require.NoError(w.t, err)
	for w.run().ID < id || !w.run().State.Terminal() {
		time.Sleep(time.Second) // the bubble's clock
	}
	return w.run()
}
