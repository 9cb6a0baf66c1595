package sdk_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: K05
func TestMemberRecord(t *testing.T) {
	t.Parallel()
	m := sdk.Member{
		Version: "v1", DisplayName: "Ann <a@b>", Identities: []sdk.Identity{{Platform: "slack", Username: "ann", SourceID: "U1"}},
		Attributes: map[string]map[string]any{"z": {"slack": 1}, "a": {"slack": true}},
		JoinedAt:   time.Date(2026, 1, 2, 3, 0, 0, 0, time.FixedZone("east", 3600)),
	}
	r, err := m.Record()
	require.NoError(t, err)
	require.Equal(t, sdk.Record{
		Kind: sdk.KindMember, ID: "slack:ann", Version: "v1",
		Data: []byte(`{"attributes":{"a":{"slack":true},"z":{"slack":1}},"display_name":"Ann <a@b>",` +
			`"identities":[{"platform":"slack","source_id":"U1","username":"ann"}],"joined_at":"2026-01-02T02:00:00Z"}`),
	}, r)

	r, err = sdk.Member{ID: "U1", Delete: true}.Record()
	require.NoError(t, err)
	require.Equal(t, sdk.Record{Kind: sdk.KindMember, ID: "U1", Delete: true}, r)

	_, err = sdk.Member{ID: "U1", Attributes: map[string]map[string]any{"f": {"x": func() {}}}}.Record()
	require.ErrorContains(t, err, "member U1")
}

func TestActivityRecords(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("west", -3600))
	a := sdk.Activity{
		ID: "m2", ParentID: "m1", Version: "v", Type: "message", Platform: "slack", Timestamp: at, Score: 6, Body: "hi",
		Attributes:   map[string]json.RawMessage{"b": json.RawMessage(`{"y":1, "x":2}`)},
		Member:       &sdk.Member{Identities: []sdk.Identity{{Platform: "slack", Username: "ann"}}},
		ObjectMember: &sdk.Member{ID: "U2"},
	}
	got, err := a.Records()
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Equal(t, "slack:ann", got[0].ID)
	require.Equal(t, "U2", got[1].ID)
	require.Equal(t, sdk.Record{
		Kind: sdk.KindActivity, ID: "m2", Parent: sdk.Ref{Kind: sdk.KindActivity, ID: "m1"}, Version: "v", OccurredAt: at.UTC(),
		Data: []byte(`{"attributes":{"b":{"x":2,"y":1}},"body":"hi","member_id":"slack:ann","object_member_id":"U2","platform":"slack","score":6,"timestamp":"2026-01-02T04:04:05Z","type":"message"}`),
	}, got[2])

	got, err = sdk.Activity{ID: "m3", Type: "join", Platform: "slack", Timestamp: at, Username: "ann"}.Records()
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.JSONEq(t, `{"platform":"slack","score":0,"timestamp":"2026-01-02T04:04:05Z","type":"join","username":"ann"}`, string(got[0].Data))

	got, err = sdk.Activity{ID: "m3", Delete: true}.Records()
	require.NoError(t, err)
	require.Equal(t, []sdk.Record{{Kind: sdk.KindActivity, ID: "m3", Delete: true}}, got)

	_, err = sdk.Activity{ID: "m4", Type: "t", Timestamp: at}.Records()
	require.ErrorContains(t, err, "one of Username and Member")
}
