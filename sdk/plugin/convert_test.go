package plugin

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// overWire returns what the other side reads of p.
func overWire[M proto.Message](t *rapid.T, p, into M) M {
	raw, err := proto.Marshal(p)
	require.NoError(t, err)
	require.NoError(t, proto.Unmarshal(raw, into))
	return into
}

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(-1e9, 1e10).Draw(t, "s"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns")).UTC()
	})
}

// some is nil or has elements.
func some[V any](g *rapid.Generator[V]) *rapid.Generator[[]V] {
	return rapid.OneOf(rapid.Just[[]V](nil), rapid.SliceOfN(g, 1, 3))
}

// blob is nil, empty or has bytes.
func blob() *rapid.Generator[[]byte] {
	return rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOf(rapid.Byte()))
}

func identities() *rapid.Generator[[]sdk.Identity] {
	return some(rapid.Custom(func(t *rapid.T) sdk.Identity {
		return sdk.Identity{Platform: rapid.String().Draw(t, "platform"), Username: rapid.String().Draw(t, "username"), SourceID: rapid.String().Draw(t, "source")}
	}))
}

func members() *rapid.Generator[sdk.Member] {
	return rapid.Custom(func(t *rapid.T) sdk.Member {
		m := sdk.Member{
			ID: rapid.String().Draw(t, "id"), Version: string(rapid.SliceOf(rapid.Byte()).Draw(t, "version")), Delete: rapid.Bool().Draw(t, "delete"),
			DisplayName: rapid.String().Draw(t, "name"), Emails: some(rapid.String()).Draw(t, "emails"),
			Identities: identities().Draw(t, "identities"), WeakIdentities: identities().Draw(t, "weak"),
			JoinedAt: times().Draw(t, "joined"), Bio: rapid.String().Draw(t, "bio"), Location: rapid.String().Draw(t, "location"),
		}
		if rapid.Bool().Draw(t, "full") {
			m.Attributes = map[string]map[string]any{"legs": {"zoo": json.Number("12345678901234567890"), "x": "y", "b": true, "n": nil}}
			m.Reach = map[string]int64{"zoo": rapid.Int64().Draw(t, "reach")}
			m.Organizations = []sdk.Organization{{Name: "n", Title: "t", Website: "w"}}
		}
		if !m.Delete && rapid.Bool().Draw(t, "update") {
			m.Update, m.Clear = true, some(rapid.String()).Draw(t, "clear")
		}
		return m
	})
}

func TestMemberRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := members().Draw(t, "member")
		p, err := memberToProto(&want)
		require.NoError(t, err)
		got, err := memberFromProto(overWire(t, p, &pluginv1.Member{}))
		require.NoError(t, err)
		require.Equal(t, want, *got)
	})
}

func TestActivityRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := sdk.Activity{
			ID: rapid.String().Draw(t, "id"), ParentID: rapid.String().Draw(t, "parent"), Version: "v", Delete: rapid.Bool().Draw(t, "delete"),
			Type: rapid.String().Draw(t, "type"), Platform: "p", Timestamp: times().Draw(t, "at"), Score: rapid.Int64().Draw(t, "score"),
			IsContribution: rapid.Bool().Draw(t, "contribution"), Channel: "c", Title: "t", Body: rapid.String().Draw(t, "body"), URL: "u",
			Username: rapid.String().Draw(t, "username"), ObjectUsername: "o",
		}
		if rapid.Bool().Draw(t, "members") {
			m := members().Draw(t, "member")
			want.Member, want.ObjectMember = &m, &m
			want.Attributes = map[string]json.RawMessage{"a": json.RawMessage(`{"b":1}`)}
		}
		p, err := activityToProto(&want)
		require.NoError(t, err)
		got, err := activityFromProto(overWire(t, p, &pluginv1.Activity{}))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestRecordsRoundTrip(t *testing.T) {
	t.Parallel()
	one := rapid.Custom(func(t *rapid.T) sdk.Record {
		r := sdk.Record{
			Kind: rapid.String().Draw(t, "kind"), ID: rapid.String().Draw(t, "id"),
			Parent:  sdk.Ref{Kind: rapid.String().Draw(t, "parent kind"), ID: rapid.String().Draw(t, "parent")},
			Version: string(rapid.SliceOf(rapid.Byte()).Draw(t, "version")), OccurredAt: times().Draw(t, "at"),
			Delete: rapid.Bool().Draw(t, "delete"), Data: rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "data"),
		}
		r.Update = !r.Delete && rapid.Bool().Draw(t, "update")
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		want := sdk.Batch{Records: some(one).Draw(t, "records")}
		p, err := batchToProto(want)
		require.NoError(t, err)
		got, err := batchFromProto(overWire(t, p, &pluginv1.Batch{}))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestBatchRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := sdk.Batch{Members: []sdk.Member{members().Draw(t, "member")}, Streams: []sdk.Stream{{ID: "a", Connector: "b", Data: rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "data"), Partition: "p", LimitKey: "l"}}, Settings: map[string][]byte{"k": []byte(`1`)}, Service: map[string][]byte{"s": []byte(`2`)}, Warnings: []sdk.Warning{{RecordID: "r", Message: "m"}}, Activities: []sdk.Activity{{ID: "x"}}}
		p, err := batchToProto(want)
		require.NoError(t, err)
		got, err := batchFromProto(overWire(t, p, &pluginv1.Batch{}))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

// rows: K02, K03
func TestOutcomeAndCheckpointRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := sdk.Outcome{
			NextPage: blob().Draw(t, "page"), Cursor: blob().Draw(t, "cursor"), LastRecord: rapid.String().Draw(t, "last"),
			LastRecordTimestamp: times().Draw(t, "at"), Sleep: time.Duration(rapid.Int64().Draw(t, "sleep")),
		}
		switch rapid.IntRange(0, 3).Draw(t, "limit") {
		case 1:
			want.RateLimit = &sdk.RateLimit{Key: rapid.String().Draw(t, "key"), After: time.Duration(rapid.Int64().Draw(t, "after"))}
		case 2:
			want.RateLimit = &sdk.RateLimit{Until: times().Draw(t, "until")}
		case 3:
			want.RateLimit = &sdk.RateLimit{}
		}
		require.Equal(t, want, outcomeFromProto(overWire(t, outcomeToProto(want), &pluginv1.Outcome{})))
		c := sdk.Checkpoint{Data: rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "data"), Cursor: blob().Draw(t, "checkpoint cursor")}
		require.Equal(t, c, checkpointFromProto(overWire(t, checkpointToProto(c), &pluginv1.Checkpoint{})))
	})
}

func TestErrorRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := &sdk.Error{
			Class: rapid.SampledFrom([]sdk.Class{sdk.ClassConfig, sdk.ClassAuth, sdk.ClassTransient, sdk.ClassRateLimited, sdk.ClassRemote, sdk.ClassSystem}).Draw(t, "class"),
			Code:  rapid.StringN(0, 20, 80).Draw(t, "code"), Message: rapid.StringN(0, 100, 400).Draw(t, "message"),
			Safe: rapid.Bool().Draw(t, "safe"), AbortRun: rapid.Bool().Draw(t, "abort"),
			AbortStream: rapid.Bool().Draw(t, "abort stream"),
		}
		if rapid.Bool().Draw(t, "details") {
			want.Details = rapid.MapOfN(rapid.StringN(0, 20, 80), rapid.StringN(0, 20, 80), 1, maxDetails).Draw(t, "told")
		}
		if rapid.Bool().Draw(t, "request") {
			want.Request = &sdk.RequestFacts{
				Method: "GET", URL: rapid.StringN(0, 100, 400).Draw(t, "url"), Status: rapid.IntRange(0, 599).Draw(t, "status"),
				Duration: time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "took")), Host: rapid.StringN(0, 20, 80).Draw(t, "host"),
			}
		}
		require.Equal(t, want, errorFromProto(overWire(t, errorToProto(want), &pluginv1.Error{})))
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "s"))
		require.LessOrEqual(t, len(cut(s)), maxText)
		_, err := proto.Marshal(&pluginv1.Warning{Message: cut(s), RecordId: text(s)})
		require.NoError(t, err)
	})
}
