package runner_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K11, F03
//
// While a plugin cannot be called its run rests. Its streams are not asked about one by
// one, and none of them waits on when the plugin is there again.
func TestARunOfAPluginThatIsAwayRestsAsAWhole(t *testing.T) {
	t.Parallel()
	const (
		streams, beside = 200, 4
		away, rest      = 900 * time.Millisecond, 200 * time.Millisecond
	)
	var (
		mu             sync.Mutex // guards what follows
		calls, refused int
		back, first    time.Time // by the bubble's clock
	)
	s := &script{plan: manyStreams(streams)}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		time.Sleep(10 * time.Millisecond) // the bubble's clock
		return sdk.Outcome{}, nil
	}
	s.reach = func() error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls < 20 {
			return nil
		}
		now := time.Now()
		switch {
		case back.IsZero():
			back = now.Add(away)
		case first.IsZero() && !now.Before(back):
			first = now
		}
		if now.Before(back) {
			refused++
			return errAway
		}
		return nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = beside
		w.up()
		run := w.until(store.RunProcessed, store.RunPartial, store.RunError)
		require.Equal(t, store.RunProcessed, run.State)
		require.Equal(t, store.StreamCounts{Processed: streams}, run.Streams)
		mu.Lock()
		defer mu.Unlock()
		require.LessOrEqual(t, refused, beside*(1+int(away/rest)), "most streams were never asked about")
		require.LessOrEqual(t, first.Sub(back), rest, "it goes on when the plugin is there")
	})
}
