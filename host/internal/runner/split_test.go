package runner_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// pages is a script whose streams have as many records of a size, and which emits
// what the host wants between two checkpoints, or all.
type pages struct {
	records, bytes int
	wanted         []string // of each call: stream, where it began, how much
}

func (p *pages) process(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	from, _ := strconv.Atoi(string(call.Checkpoint))
	p.wanted = append(p.wanted, fmt.Sprintf("%s %d %d", call.Stream.ID, from, call.PageSize))
	data := []byte(`{"a":"` + strings.Repeat("x", p.bytes) + `"}`)
	for n := from; n < p.records; n++ {
		if n > from && (n-from)%call.PageLimit(p.records) == 0 {
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: call.Stream.ID + strconv.Itoa(n), Data: data}); err != nil {
			return sdk.Outcome{}, err
		}
	}
	return sdk.Outcome{}, nil
}

// rows: O23
//
// The page size reaches the plugin: the integration's before the manifest's, and none
// if nobody says.
func TestThePageSizeReachesThePlugin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ manifest, configured, want int }{
		"Nobody": {0, 0, 0}, "Manifest": {70, 0, 70}, "Configured": {70, 20, 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &pages{records: 3}
			s := &script{plan: planOf("a"), process: p.process}
			s.manifest.Limits.PageSize = c.manifest
			inWorld(t, s, func(t *testing.T, w *world) {
				w.page = c.configured
				w.up()
				w.until(store.RunProcessed)
				require.Equal(t, []string{fmt.Sprintf("a 0 %d", c.want)}, p.wanted)
			})
		})
	}
}

// rows: F25, O23
//
// A segment that is too large is asked for again from the last checkpoint with half
// the page, until it fits. It costs no attempt, nothing is stored twice, and a record
// that no page can hold is left out with its digest.
func TestAPageTooLargeIsSplit(t *testing.T) {
	t.Parallel()
	p := &pages{records: 40, bytes: 200 << 10}
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Checkpoint == nil {
			if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: "huge", Data: []byte(`"` + strings.Repeat("x", sdk.MaxRecord) + `"`)}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return p.process(ctx, call, out)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed, store.RunPartial, store.RunError)
		require.Equal(t, store.RunProcessed, run.State)
		require.Len(t, w.records(), 40)
		require.Equal(t, int64(40), run.Stats.Added)
		require.Equal(t, int64(40), run.Stats.Read, "what did not fit counts once")
		require.Equal(t, int64(1), run.Stats.Warnings)
		require.Zero(t, w.streams()["a"].Attempts)
		require.Equal(t, []string{"a 0 0", "a 0 8"}, p.wanted, "16 records were over the cap")
	})
}

// rows: F25
//
// Where the plugin does not heed the size, the stream fails by the name of the cap
// once there is nothing to halve; its siblings go on. A stream that was split stays so
// for its next pages.
func TestAPageThatIsNotSplitFailsItsStreamAlone(t *testing.T) {
	t.Parallel()
	p := &pages{records: 40, bytes: 200 << 10}
	var sizes []int
	paged := 0
	s := &script{plan: planOf("deaf", "paged")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "deaf" {
			sizes = append(sizes, call.PageSize)
			call.PageSize = 0
			return p.process(ctx, call, out)
		}
		outcome, err := p.process(ctx, call, out)
		if err == nil && paged < 2 {
			paged++
			outcome.NextPage = []byte(strconv.Itoa(paged))
		}
		return outcome, err
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 1
		w.up()
		run := w.until(store.RunPartial, store.RunError)
		require.Equal(t, store.RunPartial, run.State)
		require.Equal(t, []int{0, 8, 4, 2, 1}, sizes)
		f := w.streams()["deaf"].Failure
		require.Equal(t, "checkpoint_required", f.Code)
		require.Contains(t, f.Message, "it was asked for pages of one record")
		require.Equal(t, []string{"paged 0 0", "paged 0 8", "paged 0 8", "paged 0 8"}, p.wanted[len(p.wanted)-4:])
		require.Equal(t, store.StreamProcessed, w.streams()["paged"].State)
	})
}
