package plugin

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/jackfield/jackfield/sdk"
)

// A call that the host traces knows its place, below the host's, and tells its side.
func TestTracedCallTellsItsSide(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	in := metadata.NewIncomingContext(t.Context(), metadata.Pairs(parentKey, parent))
	ctx, end := newSpans().begin(in)
	require.NotNil(t, end)
	own := strings.Split(sdk.TraceParent(ctx), "-")
	require.Len(t, own, 4)
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", own[1])
	require.NotEqual(t, "00f067aa0ba902b7", own[2])
	span, ok := SpanOf(end())
	require.True(t, ok)
	require.Equal(t, own[2], span.ID)
	require.False(t, span.Ended.Before(span.Began))
	out, _ := metadata.FromOutgoingContext(WithTrace(context.Background(), parent))
	require.Equal(t, []string{parent}, out.Get(parentKey))
}

func TestCallThatIsNotTracedTellsNothing(t *testing.T) {
	t.Parallel()
	for _, parent := range []string{
		"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\nX: y", "nonsense",
	} {
		ctx, end := newSpans().begin(metadata.NewIncomingContext(t.Context(), metadata.Pairs(parentKey, parent)))
		require.Nil(t, end, parent)
		require.Empty(t, sdk.TraceParent(ctx))
	}
	ctx, end := newSpans().begin(t.Context())
	require.Nil(t, end)
	require.Empty(t, sdk.TraceParent(ctx))
}

func TestSpanOfAHostilePlugin(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "x", "00f067aa0ba902b7", "00f067aa0ba902b7 1", "zzf067aa0ba902b7 1 2", "00f067 1 2", "00f067aa0ba902b7 1 99999999999999999999999",
	} {
		_, ok := SpanOf(metadata.Pairs(spanKey, text))
		require.False(t, ok, text)
	}
	_, ok := SpanOf(metadata.Pairs(spanKey, "00f067aa0ba902b7 1 2", spanKey, "00f067aa0ba902b8 1 2"))
	require.False(t, ok, "two sides of one call")
	_, ok = SpanOf(nil)
	require.False(t, ok)
	s, ok := SpanOf(metadata.Pairs(spanKey, "00f067aa0ba902b7 -9223372036854775808 9223372036854775807 and more"))
	require.True(t, ok)
	require.True(t, s.Began.Before(s.Ended))
}
