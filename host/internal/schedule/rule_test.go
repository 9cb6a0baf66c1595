package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/schedule"
)

func next(t *testing.T, r schedule.Rule, from time.Time) time.Time {
	t.Helper()
	at, err := r.Next(from)
	require.NoError(t, err)
	return at
}

// rows: C03
func TestD08TicksMeanWhatTheySay(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		every  int
		window time.Duration
		words  string
	}{
		{0, time.Minute, "every tick (1m)"},
		{1, time.Minute, "every tick (1m)"},
		{20, 20 * time.Minute, "every 20 ticks (20m)"},
		{1440, 24 * time.Hour, "every 1440 ticks (1d)"},
		{2250, 2250 * time.Minute, "every 2250 ticks (1d13h30m)"},
	} {
		for id := range int64(50) {
			r := schedule.Rule{Every: c.every, ID: id}
			require.Equal(t, c.words, r.String())
			first := next(t, r, start)
			require.GreaterOrEqual(t, first.Sub(start), c.window/2)
			require.LessOrEqual(t, first.Sub(start), c.window*3/2)
			late := first.Add(c.window / 3) // no slot was free
			require.Equal(t, first.Add(c.window), next(t, r, first))
			require.Equal(t, first.Add(c.window), next(t, r, late), "a late start shifts nothing")
			require.Equal(t, first.Add(10*c.window), next(t, r, first.Add(9*c.window)), "one check after a downtime, not nine")
		}
	}
	never := schedule.Rule{Every: -1}
	require.Equal(t, "never", never.String())
	require.Zero(t, next(t, never, start))
}

// rows: C05
func TestANewRuleGoesByTheLastCheckAndByNow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := schedule.Rule{Every: 60, ID: 7}
	at, err := r.Resume(now.Add(-10*time.Minute), now)
	require.NoError(t, err)
	require.True(t, at.After(now.Add(19*time.Minute)) && !at.After(now.Add(80*time.Minute)), at)
	at, err = r.Resume(now.Add(-48*time.Hour), now)
	require.NoError(t, err)
	require.True(t, at.After(now) && !at.After(now.Add(time.Hour)), "in its place of the next window, not at once: %v", at)
}

// rows: C05
func TestD23PlacesLieEvenly(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	for _, c := range []struct{ n, every, stride int64 }{{1000, 60, 1}, {1000, 60, 3}, {1000, 20, 1}, {1440, 1440, 1}, {5000, 60, 7}} {
		counts := map[time.Time]int64{}
		first := start.Add(time.Duration(c.every) * 3 / 2 * time.Minute) // all have been checked once
		for i := range c.n {
			r := schedule.Rule{Every: int(c.every), ID: 1 + i*c.stride}
			at := next(t, r, start)
			for at.Before(start.Add(24*time.Hour)) || at.Before(first.Add(time.Hour)) {
				if !at.Before(first) {
					counts[at.Truncate(time.Minute)]++
				}
				at = next(t, r, at)
			}
		}
		require.NotEmpty(t, counts)
		share := float64(c.n) / float64(c.every)
		for minute, n := range counts {
			require.LessOrEqual(t, float64(n), share*1.03+2, "%v: %d integrations in %d ticks", minute, c.n, c.every)
		}
	}
}
