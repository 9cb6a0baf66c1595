package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := marshal(document(&hostv1.Run{
		Id: "12", Connectors: []string{"a"}, Params: map[string]string{"b": "<2>", "a": "1"},
		StartedAt:  timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 600_700_800, time.UTC)),
		DurationMs: 1 << 60, Stats: &hostv1.RunStats{Read: 12},
	}))
	require.NoError(t, err)
	golden(t, "document.json", string(text)+"\n") // the order counts too
}

func TestDocumentKeepsJSON(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"b":1,"a":[null]}`:   `{"b":1,"a":[null]}`,
		`12345678901234567890`: `12345678901234567890`,
		`{broken`:              `"{broken"`,
	} {
		text, err := marshal(document(&hostv1.Record{Data: []byte(data)}))
		require.NoError(t, err)
		var got map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(text, &got))
		require.Equal(t, want, string(got["data"]))
	}
	text, err := marshal(document(&hostv1.Record{}))
	require.NoError(t, err)
	require.NotContains(t, string(text), `"data"`, "JSON that is not there is left out")
	require.NotContains(t, string(text), `occurred_at`)
}

func TestTextsForPeople(t *testing.T) {
	t.Parallel()
	require.Equal(t, "12,040", thousands(12040))
	require.Equal(t, "-1,000", thousands(-1000))
	require.Equal(t, "999", thousands(999))
	require.Equal(t, "1.5 KiB", bytesText(1536))
	require.Equal(t, "a?[31mb c", clean("a\x1b[31mb\nc\t"), "nothing moves the cursor")
	require.Equal(t, "never", everyText(-1))
	require.Equal(t, "20m", everyText(20))
	require.Equal(t, "1h20m", everyText(80))
	require.Equal(t, "2h", everyText(120))
	require.Equal(t, "1m10s", shortDuration(70*time.Second))
	require.Equal(t, "1.2s", shortDuration(1234*time.Millisecond))
	for in, want := range map[string][2]string{
		"x":                        {"x", ""},
		"x (hint: do y)":           {"x", "do y"},
		"a: x (hint: do (y) z): b": {"a: x: b", "do (y) z"},
		"x (hint: never closed":    {"x (hint: never closed", ""},
	} {
		rest, hint := splitHint(in)
		require.Equal(t, want, [2]string{rest, hint})
	}
}
