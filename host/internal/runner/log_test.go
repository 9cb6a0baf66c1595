package runner_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: I11, P10
//
// A line that a plugin logs has so many fields, and each part of it so many bytes,
// whatever the plugin sends; whose line it is, the host says.
func TestI11ALineOfALogIsBounded(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		args := []any{"tenant", "somebody else", strings.Repeat("k", 100), strings.Repeat("v", 5000)}
		for n := range 100 {
			args = append(args, "field"+strconv.Itoa(n), n)
		}
		sdk.HostFrom(ctx).Log(sdk.LogInfo, strings.Repeat("m", 5000), args...)
		return sdk.Outcome{}, nil
	}
	var said string
	var got map[string]string
	inWorld(t, s, func(t *testing.T, w *world) {
		w.opts.Say = func(_ string, _ hclog.Level, message string, fields map[string]string) { said, got = message, fields }
		w.up()
		w.until(store.RunProcessed)
	})
	require.Len(t, said, 4096)
	require.Equal(t, "acme", got["tenant"])
	require.Len(t, got[strings.Repeat("k", 64)], 4096)
	require.Len(t, got, 4+31, "those of the host, and the first of the plugin's but the one that is not its own to say")
	require.Equal(t, "29", got["field29"])
}
