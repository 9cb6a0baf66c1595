package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// sink keeps what is emitted.
type sink struct {
	batches     []sdk.Batch
	checkpoints []sdk.Checkpoint
}

func (s *sink) Send(_ context.Context, b sdk.Batch) error {
	s.batches = append(s.batches, b)
	return nil
}

func (s *sink) Checkpoint(_ context.Context, c sdk.Checkpoint) error {
	s.checkpoints = append(s.checkpoints, c)
	return nil
}

func record(id, data string) sdk.Record { return sdk.Record{Kind: "thing", ID: id, Data: []byte(data)} }

// rows: K05
func TestEmitterCanonicalises(t *testing.T) {
	t.Parallel()
	s := &sink{}
	out := sdk.NewEmitter(s)
	require.NoError(t, out.Record(t.Context(), record("1", `{ "b": "\u003c", "a": 1 }`)))
	require.NoError(t, out.Flush(t.Context()))
	ready := []sdk.Record{record("2", `{"a":1}`), record("3", `{"b":1,"a":2}`)}
	require.NoError(t, out.Send(t.Context(), sdk.Batch{Records: ready}))
	want := record("1", `{"a":1,"b":"<"}`)
	require.Equal(t, want, s.batches[0].Records[0])
	require.Equal(t, []sdk.Record{record("2", `{"a":1}`), record("3", `{"a":2,"b":1}`)}, s.batches[1].Records)
	require.Equal(t, `{"b":1,"a":2}`, string(ready[1].Data), "the caller's batch is its own")
}

func TestEmitterRefuses(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0)
	ann := &sdk.Member{ID: "ann"}
	for name, c := range map[string]struct {
		emit func(context.Context, *sdk.Emitter) error
		want string
	}{
		"InvalidJSON": {func(ctx context.Context, out *sdk.Emitter) error { return out.Record(ctx, record("7", `{"a":`)) }, "record thing 7: data: invalid JSON at byte 5"},
		"NoObject":    {func(ctx context.Context, out *sdk.Emitter) error { return out.Record(ctx, record("7", `[1]`)) }, "record thing 7: data is not a JSON object"},
		"NoData":      {func(ctx context.Context, out *sdk.Emitter) error { return out.Record(ctx, record("7", ``)) }, "record thing 7"},
		"NoID":        {func(ctx context.Context, out *sdk.Emitter) error { return out.Record(ctx, record("", `{}`)) }, "is empty"},
		"NoUTF8":      {func(ctx context.Context, out *sdk.Emitter) error { return out.Record(ctx, record("\xff", `{}`)) }, "is not UTF-8"},
		"LongID": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Record(ctx, record(strings.Repeat("x", 2000), `{}`))
		}, "512 are allowed"},
		"Reserved": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Record(ctx, sdk.Record{Kind: "member", ID: "1"})
		}, "has a type of its own"},
		"SentBatch": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Send(ctx, sdk.Batch{Records: []sdk.Record{record("1", `{}`), record("7", `x`)}})
		}, "record thing 7"},
		"SentSetting": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Send(ctx, sdk.Batch{Settings: map[string][]byte{"k": []byte("x")}})
		}, "setting k is not JSON"},
		"Nobody": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Member(ctx, sdk.Member{DisplayName: "Ann"})
		}, `member "Ann" has neither`},
		"UpdateOfNobody": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Member(ctx, sdk.Member{Update: true, Identities: []sdk.Identity{{Platform: "p", Username: "u"}}})
		}, "has no id"},
		"UpdateAndDelete": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Record(ctx, sdk.Record{Kind: "thing", ID: "7", Update: true, Delete: true})
		}, "record thing 7 is both updated and deleted"},
		"ClearWithoutUpdate": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Member(ctx, sdk.Member{ID: "a", Clear: []string{"bio"}})
		}, "no update"},
		"Service": {func(ctx context.Context, out *sdk.Emitter) error { return out.Service(ctx, "", 1) }, "the key of a service state is empty"},
		"NoActor": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Activity(ctx, sdk.Activity{ID: "1", Type: "t", Timestamp: at})
		}, "names nobody"},
		"TwoActors": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Activity(ctx, sdk.Activity{ID: "1", Type: "t", Timestamp: at, Platform: "p", Username: "ann", Member: ann})
		}, "both Username and Member"},
		"TwoObjects": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Activity(ctx, sdk.Activity{ID: "1", Type: "t", Timestamp: at, Platform: "p", Username: "ann", ObjectUsername: "bob", ObjectMember: ann})
		}, "both ObjectUsername and ObjectMember"},
		"NoPlatform": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Activity(ctx, sdk.Activity{ID: "1", Type: "t", Timestamp: at, Username: "ann"})
		}, "without a platform"},
		"NoTime": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Activity(ctx, sdk.Activity{ID: "1", Type: "t", Member: ann})
		}, "no timestamp"},
		"NoType": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Activity(ctx, sdk.Activity{ID: "1", Timestamp: at, Member: ann})
		}, "no type"},
		"StreamData": {func(ctx context.Context, out *sdk.Emitter) error {
			return out.Stream(ctx, sdk.Stream{ID: "s", Connector: "c", Data: make([]byte, 65<<10)})
		}, "stream_data_too_large"},
		"StreamID": {func(ctx context.Context, out *sdk.Emitter) error { return out.Stream(ctx, sdk.Stream{Connector: "c"}) }, "a stream's id is empty"},
		"Setting":  {func(ctx context.Context, out *sdk.Emitter) error { return out.Setting(ctx, "k", func() {}) }, "setting k"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sink{}
			out := sdk.NewEmitter(s)
			require.ErrorContains(t, c.emit(t.Context(), out), c.want)
			require.NoError(t, out.Flush(t.Context()))
			require.Empty(t, s.batches, "nothing of it is emitted")
		})
	}
}

// rows: K24
func TestEmitterBatches(t *testing.T) {
	t.Parallel()
	s := &sink{}
	out := sdk.NewEmitter(s)
	for n := range 2500 {
		require.NoError(t, out.Record(t.Context(), record(fmt.Sprint(n), `{}`)))
	}
	require.NoError(t, out.Checkpoint(t.Context(), sdk.Checkpoint{Data: []byte("c")}))
	require.Equal(t, []int{1000, 1000, 500}, []int{s.batches[0].Len(), s.batches[1].Len(), s.batches[2].Len()})
	require.Len(t, s.checkpoints, 1)

	s.batches = nil
	large := `{"a":"` + strings.Repeat("x", 100<<10) + `"}`
	for n := range 4 {
		require.NoError(t, out.Record(t.Context(), record(fmt.Sprint(n), large)))
	}
	require.Len(t, s.batches, 1, "256 KiB are a batch")
	require.Len(t, s.batches[0].Records, 3)
}

func TestEmitterDropsTheDataOfADelete(t *testing.T) {
	t.Parallel()
	s := &sink{}
	out := sdk.NewEmitter(s)
	require.NoError(t, errors.Join(out.Record(t.Context(), sdk.Record{Kind: "thing", ID: "1", Delete: true, Data: []byte("x")}), out.Flush(t.Context())))
	require.Equal(t, []sdk.Record{{Kind: "thing", ID: "1", Delete: true}}, s.batches[0].Records)
}
