package runner_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// many calls do with the numbers below n until one fails.
func many(n int, do func(n int) error) error {
	for i := range n {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// rows: I11, F24, F25, K24, C49, C50
//
// Whatever a plugin makes too much of fails its stream alone, with a name that says
// which cap it passed; at the cap all is well.
func TestI11WhatAPluginMakesTooMuchOfHasAName(t *testing.T) {
	t.Parallel()
	long(t) // thousands of commits
	type caps struct {
		name string // of the cap, as it stands in the code
		at   int
		do   func(ctx context.Context, n int, out *sdk.Emitter) error // n is at the cap, then beyond it
		code string
		want string // in the message
	}
	name := func(n int) string { return strings.Repeat("x", n) }
	one := func(r sdk.Record) sdk.Record {
		if r.Kind == "" {
			r.Kind = "thing"
		}
		if r.ID == "" {
			r.ID = "1"
		}
		r.Data = []byte(`{}`)
		return r
	}
	for _, c := range []caps{
		{"sdk.MaxID of a record", 512, func(ctx context.Context, n int, out *sdk.Emitter) error {
			return out.Record(ctx, one(sdk.Record{ID: name(n)}))
		}, "record_invalid", "512 are allowed"},
		{"sdk.MaxKind", 64, func(ctx context.Context, n int, out *sdk.Emitter) error {
			return out.Record(ctx, one(sdk.Record{Kind: name(n)}))
		}, "record_invalid", "64 are allowed"},
		{"store.MaxVersionBytes", 128, func(ctx context.Context, n int, out *sdk.Emitter) error {
			return out.Record(ctx, one(sdk.Record{Version: name(n)}))
		}, "limit_exceeded", "version over 128 bytes"},
		{"store.MaxUpdateFields", 1000, func(ctx context.Context, n int, out *sdk.Emitter) error {
			r := one(sdk.Record{Update: true})
			var fields []string
			for i := range n {
				fields = append(fields, fmt.Sprintf(`"%d":1`, i))
			}
			r.Data = []byte("{" + strings.Join(fields, ",") + "}")
			return out.Record(ctx, r)
		}, "limit_exceeded", "1001 fields, over 1000"},
		{"sdk.MaxStreamData", 64 << 10, func(ctx context.Context, n int, out *sdk.Emitter) error {
			return out.Stream(ctx, sdk.Stream{ID: "s", Connector: "things", Data: make([]byte, n)})
		}, "stream_data_too_large", "65536 are allowed"},
		{"sdk.MaxID of a stream", 512, func(ctx context.Context, n int, out *sdk.Emitter) error {
			return out.Stream(ctx, sdk.Stream{ID: name(n), Connector: "things"})
		}, "record_invalid", "512 are allowed"},
		{"store.MaxStreamsPerResult", 1000, func(ctx context.Context, n int, out *sdk.Emitter) error {
			return many(n, func(i int) error { return out.Stream(ctx, sdk.Stream{ID: "c" + strconv.Itoa(i), Connector: "things"}) })
		}, "limit_exceeded", "1001 new streams, over 1000"},
		{"store.MaxServiceKeys", 100, func(ctx context.Context, n int, out *sdk.Emitter) error {
			return many(n, func(i int) error { return out.Service(ctx, strconv.Itoa(i), 1) })
		}, "limit_exceeded", "service state of 101 keys, over 100"},
		{"store.MaxServiceValueBytes", 64<<10 - 2, func(ctx context.Context, n int, out *sdk.Emitter) error {
			return out.Service(ctx, "k", name(n))
		}, "limit_exceeded", "over 65536"},
		{"maxCacheKey", 512, func(ctx context.Context, n int, _ *sdk.Emitter) error {
			return sdk.HostFrom(ctx).CachePut(ctx, sdk.CachePlugin, name(n), nil, time.Hour)
		}, "bad_cache_key", "1 to 512 bytes"},
		{"maxCacheValue", 64 << 10, func(ctx context.Context, n int, _ *sdk.Emitter) error {
			return sdk.HostFrom(ctx).CachePut(ctx, sdk.CachePlugin, "k", make([]byte, n), time.Hour)
		}, "cache_value_too_large", "65536 are allowed"},
		{"maxCacheKey of a bucket", 512, func(ctx context.Context, n int, _ *sdk.Emitter) error {
			return sdk.HostFrom(ctx).Limit(ctx, sdk.Bucket{Scope: sdk.CachePlugin, Key: name(n), Max: 1, Window: time.Second})
		}, "bad_limit_key", "1 to 512 bytes"},
		{"maxBucketCalls", 1_000_000, func(ctx context.Context, n int, _ *sdk.Emitter) error {
			return sdk.HostFrom(ctx).Limit(ctx, sdk.Bucket{Scope: sdk.CachePlugin, Key: "k", Max: n, Window: time.Hour})
		}, "bad_bucket", "1 to 1000000"},
		{"store.MaxBucketWindow", 31 * 24, func(ctx context.Context, n int, _ *sdk.Emitter) error {
			return sdk.HostFrom(ctx).Limit(ctx, sdk.Bucket{Scope: sdk.CachePlugin, Key: "k", Max: 1, Window: time.Duration(n) * time.Hour})
		}, "bad_bucket", "744h0m0s are allowed"},
		{"store.MaxBuckets", 1000, func(ctx context.Context, n int, _ *sdk.Emitter) error {
			return many(n, func(i int) error {
				if n > 1000 && i < 1000 { // they are taken
					return nil
				}
				return sdk.HostFrom(ctx).Limit(ctx, sdk.Bucket{Scope: sdk.CachePlugin, Key: strconv.Itoa(i), Max: 1, Window: time.Hour})
			})
		}, "too_many_buckets", "more than 1000 buckets"},
		{"maxBucketCalls of slots", 1_000_000, func(ctx context.Context, n int, _ *sdk.Emitter) error {
			_, err := sdk.HostFrom(ctx).Slot(ctx, sdk.CachePlugin, "k", n)
			return err
		}, "bad_slot", "1 to 1000000"},
		{"maxPick", 1000, func(ctx context.Context, n int, _ *sdk.Emitter) error {
			var keys []string
			for i := range n {
				keys = append(keys, strconv.Itoa(i))
			}
			_, err := sdk.HostFrom(ctx).Pick(ctx, keys)
			return err
		}, "bad_pick", "1 to 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &script{plan: planOf("fits", "over")}
			s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
				switch call.Stream.ID {
				case "fits":
					return sdk.Outcome{}, c.do(ctx, c.at, out)
				case "over":
					return sdk.Outcome{}, c.do(ctx, c.at+1, out)
				default:
					return sdk.Outcome{}, nil
				}
			}
			inWorld(t, s, func(t *testing.T, w *world) {
				w.conc = 1
				w.up()
				run := w.until(store.RunProcessed, store.RunPartial, store.RunError)
				streams := map[string]store.Stream{}
				for _, id := range []string{"fits", "over"} {
					all, err := w.db.Streams(t.Context(), store.StreamFilter{RunID: run.ID, Limit: 1000})
					require.NoError(t, err)
					for _, st := range all {
						if st.Ident == id {
							streams[id] = st
						}
					}
				}
				require.Equal(t, store.StreamProcessed, streams["fits"].State, "%+v", streams["fits"].Failure)
				require.Equal(t, store.StreamError, streams["over"].State)
				require.Equal(t, c.code, streams["over"].Failure.Code)
				require.Contains(t, streams["over"].Failure.Message, c.want)
				require.Equal(t, store.RunPartial, run.State)
			})
		})
	}
}

// rows: I11, F24, C12
//
// Where a cap keeps the first or leaves out, all is counted.
func TestI11WhatIsLeftOutIsCounted(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("warns", "large", "tells")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		switch call.Stream.ID {
		case "warns": // store.MaxWarningsKept
			return sdk.Outcome{}, many(store.MaxWarningsKept+20, func(n int) error { return out.Warn(ctx, strconv.Itoa(n), "odd") })
		case "large": // sdk.MaxRecord
			return sdk.Outcome{}, out.Record(ctx, sdk.Record{Kind: "thing", ID: "1", Data: []byte(`{"a":"` + strings.Repeat("x", sdk.MaxRecord) + `"}`)})
		default: // maxDetails
			e := &sdk.Error{Class: sdk.ClassConfig, Code: "no", Message: "no", Details: map[string]string{}}
			for n := range 20 {
				e.Details[fmt.Sprintf("%02d", n)] = "x"
			}
			return sdk.Outcome{}, e
		}
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunPartial, store.RunError)
		require.EqualValues(t, store.MaxWarningsKept+20+1, run.Stats.Warnings)
		kept, err := w.db.Warnings(t.Context(), run.ID, 0)
		require.NoError(t, err)
		require.Len(t, kept, store.MaxWarningsKept)
		require.Empty(t, w.records())
		details := w.streams()["tells"].Failure.Details
		require.Len(t, details, 16)
		require.Contains(t, details, "15")
	})
}

// rows: I11, F24
//
// A stream that makes a stream that makes a stream ends at the depth.
func TestI11StreamsOfStreamsHaveADepth(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("0")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		n, _ := strconv.Atoi(call.Stream.ID)
		return sdk.Outcome{}, out.Stream(ctx, sdk.Stream{ID: strconv.Itoa(n + 1), Connector: "things"})
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunPartial, store.RunError)
		require.EqualValues(t, store.MaxStreamDepth-1, run.Streams.Processed, "those of the plan are the first")
		last := w.streams()[strconv.Itoa(store.MaxStreamDepth-1)]
		require.Equal(t, store.StreamError, last.State)
		require.Equal(t, "limit_exceeded", last.Failure.Code)
		require.Contains(t, last.Failure.Message, "32 deep")
	})
}
