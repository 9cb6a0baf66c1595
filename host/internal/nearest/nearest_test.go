package nearest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatWasMeant(t *testing.T) {
	t.Parallel()
	known := []string{"plugin", "settings", "schedule"}
	require.Equal(t, `did you mean "settings"?`, Advice("setings", known))
	require.Equal(t, `did you mean "plugin"?`, Advice("PLUGNI", known))
	require.Equal(t, "known are plugin, schedule, settings", Advice("zzz", known))
	require.Empty(t, Advice("zzz", nil))
	require.Empty(t, Advice("zzz", strings.Split(strings.Repeat("known ", few+1), " ")))
	require.Equal(t, []string{"plugin", "settings", "schedule"}, known, "the caller's list keeps its order")
}

func TestDistanceOfWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"output", "output", 0},
		{"ouptut", "output", 1},
		{"ouptut", "outputs", 2},
		{"kitten", "sitting", 3},
		{"ab", strings.Repeat("x", 100), 100},
	} {
		require.Equal(t, c.want, Distance(c.a, c.b), "%q to %q", c.a, c.b)
		require.Equal(t, c.want, Distance(c.b, c.a), "%q to %q", c.b, c.a)
	}
}
