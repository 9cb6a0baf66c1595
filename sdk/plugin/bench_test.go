package plugin_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// counter counts records.
type counter struct{ records int }

func (c *counter) Send(_ context.Context, b sdk.Batch) error {
	c.records += len(b.Records)
	return nil
}

func (c *counter) Checkpoint(context.Context, sdk.Checkpoint) error { return nil }

// BenchmarkStream moves records of about 300 bytes over a Unix socket, in
// batches as large as the checkpoints between them let them be.
func BenchmarkStream(b *testing.B) {
	for _, batch := range []int{100, 1000} {
		b.Run(strconv.Itoa(batch), func(b *testing.B) {
			data := []byte(`{"author":"U02ABCDEF","channel":"C01234567","text":"` + strings.Repeat("words of a message, ", 11) + `"}`)
			at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			z := &zoo{process: func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
				total, err := strconv.Atoi(string(call.Stream.Data))
				if err != nil {
					return sdk.Outcome{}, err
				}
				for n := range total {
					r := sdk.Record{Kind: "message", ID: fmt.Sprintf("m%07d", n), Version: "1718000000.000100", OccurredAt: at, Data: data}
					if err := out.Record(ctx, r); err != nil {
						return sdk.Outcome{}, err
					}
					if n%batch == batch-1 {
						if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("c")}); err != nil {
							return sdk.Outcome{}, err
						}
					}
				}
				return sdk.Outcome{}, nil
			}}
			client, stop, err := plugin.OverWire(b.Context(), z)
			require.NoError(b, err)
			defer stop()
			i, err := client.Open(b.Context(), sdk.Integration{})
			require.NoError(b, err)
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			b.ResetTimer()
			c := &counter{}
			_, err = i.ProcessStream(b.Context(), sdk.StreamCall{Stream: sdk.Stream{Data: []byte(strconv.Itoa(b.N))}}, sdk.NewEmitter(c))
			require.NoError(b, err)
			require.Equal(b, b.N, c.records)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkInvoke is one unary call.
func BenchmarkInvoke(b *testing.B) {
	z := &zoo{invoke: func(_ context.Context, call sdk.HookCall) (sdk.HookResult, error) {
		return sdk.HookResult{Payload: call.Payload}, nil
	}}
	client, stop, err := plugin.OverWire(b.Context(), z)
	require.NoError(b, err)
	defer stop()
	i, err := client.Open(b.Context(), sdk.Integration{})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, err := i.(sdk.Invoker).Invoke(b.Context(), sdk.HookCall{Name: "call.started", Payload: []byte(`{}`)})
		require.NoError(b, err)
	}
}
