package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/scheduler"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// overWire is a plugin at the other end of a wire.
type overWire struct{ *plugin.Client }

func (o overWire) Manifest(string) (sdk.Manifest, bool) { return o.Client.Manifest(), true }

func (o overWire) Acquire(ctx context.Context, _ string, in sdk.Integration) (runner.Plugin, error) {
	i, err := o.Open(ctx, in)
	return runner.Plugin{Instance: i, Manifest: o.Client.Manifest(), Release: func(bool) {}}, err
}

func (o overWire) AcquireAlone(ctx context.Context, name string, in sdk.Integration) (runner.Plugin, error) {
	return o.Acquire(ctx, name, in)
}
func (overWire) Lost(error) bool   { return false }
func (overWire) Reopen(error) bool { return false }
func (overWire) Away(error) bool   { return false }

// source is a plugin that emits what it has.
type source struct {
	members    []sdk.Member
	activities []sdk.Activity
}

func (s *source) Manifest() sdk.Manifest {
	return sdk.Manifest{Name: "script", Label: "Script", Version: "1.0.0", Connectors: []sdk.Connector{{Name: "things"}}}
}
func (s *source) Open(context.Context, sdk.Integration) (sdk.Instance, error) { return s, nil }

func (s *source) GetStreams(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
	return planOf("a")(ctx, call, out)
}

func (s *source) ProcessStream(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	for _, m := range s.members {
		if err := out.Member(ctx, m); err != nil {
			return sdk.Outcome{}, err
		}
	}
	for _, a := range s.activities {
		if err := out.Activity(ctx, a); err != nil {
			return sdk.Outcome{}, err
		}
	}
	return sdk.Outcome{}, nil
}

func someTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999).Draw(t, "ms")*1e6).UTC()
	})
}

func someIdentities() *rapid.Generator[[]sdk.Identity] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sdk.Identity {
		return sdk.Identity{Platform: rapid.String().Draw(t, "platform"), Username: rapid.String().Draw(t, "username"), SourceID: rapid.String().Draw(t, "source")}
	}), 1, 3)
}

// someMember has a value in every field.
func someMember() *rapid.Generator[sdk.Member] {
	value := rapid.OneOf(rapid.Just[any](nil), rapid.Map(rapid.String(), func(s string) any { return s }), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Int64(), func(n int64) any { return json.Number(fmt.Sprint(n)) }), rapid.Just[any](map[string]any{"deep": []any{"x"}}))
	return rapid.Custom(func(t *rapid.T) sdk.Member {
		return sdk.Member{
			Version: "v" + rapid.StringMatching(`[a-z0-9]{1,8}`).Draw(t, "version"), DisplayName: rapid.StringN(1, -1, -1).Draw(t, "name"),
			Emails: rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "emails"), Identities: someIdentities().Draw(t, "identities"),
			WeakIdentities: someIdentities().Draw(t, "weak"), JoinedAt: someTime().Draw(t, "joined"),
			Attributes: rapid.MapOfN(rapid.String(), rapid.MapOfN(rapid.String(), value, 1, 3), 1, 3).Draw(t, "attributes"),
			Reach:      rapid.MapOfN(rapid.String(), rapid.Int64(), 1, 3).Draw(t, "reach"),
			Organizations: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sdk.Organization {
				return sdk.Organization{Name: rapid.String().Draw(t, "name"), Title: rapid.String().Draw(t, "title"), Website: rapid.String().Draw(t, "website")}
			}), 1, 3).Draw(t, "organizations"),
			Bio: rapid.String().Draw(t, "bio"), Location: rapid.String().Draw(t, "location"),
		}
	})
}

// someActivity has a value in every field; who did it is by turns a username and a
// member.
func someActivity(n int) *rapid.Generator[sdk.Activity] {
	return rapid.Custom(func(t *rapid.T) sdk.Activity {
		a := sdk.Activity{
			ID: fmt.Sprintf("activity %d", n), ParentID: fmt.Sprintf("activity %d", n+1), Version: "v", Type: rapid.StringN(1, -1, -1).Draw(t, "type"),
			Platform: rapid.StringN(1, -1, -1).Draw(t, "platform"), Timestamp: someTime().Draw(t, "at"), Score: rapid.Int64().Draw(t, "score"),
			IsContribution: rapid.Bool().Draw(t, "contribution"), Channel: rapid.String().Draw(t, "channel"), Title: rapid.String().Draw(t, "title"),
			Body: rapid.String().Draw(t, "body"), URL: rapid.String().Draw(t, "url"),
			Attributes: map[string]json.RawMessage{rapid.String().Draw(t, "attribute"): json.RawMessage(`{"a":[1,null]}`)},
		}
		if n%2 == 0 {
			a.Username, a.ObjectUsername = rapid.StringN(1, -1, -1).Draw(t, "username"), rapid.String().Draw(t, "object")
			return a
		}
		did, object := someMember().Draw(t, "member"), someMember().Draw(t, "object")
		did.ID, object.ID = fmt.Sprintf("doer %d", n), fmt.Sprintf("object %d", n)
		a.Member, a.ObjectMember = &did, &object
		return a
	})
}

// rows: C13, C14
//
// Every field of members and activities comes through the wire and the store as it
// was given, whatever is in it.
func TestTypedFieldsSurviveTheWireAndTheStore(t *testing.T) {
	t.Parallel()
	const count = 60
	s := &source{}
	for n := range count {
		m := someMember().Example(n)
		m.ID = fmt.Sprintf("member %d", n)
		s.members = append(s.members, m)
		s.activities = append(s.activities, someActivity(n).Example(n))
	}
	records := importOverWire(t, s)
	members, activities := map[string]sdk.Member{}, map[string]store.StoredRecord{}
	for _, r := range records {
		if r.Kind == sdk.KindActivity {
			activities[r.ExternalID] = r
			continue
		}
		var m sdk.Member
		decode(t, r.Data, &m)
		m.ID, m.Version = r.ExternalID, string(r.Version)
		members[r.ExternalID] = m
	}
	require.Len(t, activities, count)
	require.Len(t, members, count+2*count/2)
	for _, want := range s.members {
		require.Equal(t, want, members[want.ID])
	}
	for n, want := range s.activities {
		r := activities[want.ID]
		var got struct {
			sdk.Activity
			MemberID       string `json:"member_id"`
			ObjectMemberID string `json:"object_member_id"`
		}
		decode(t, r.Data, &got)
		require.Equal(t, n%2 == 1, got.MemberID != "", "exactly one of username and member")
		require.Equal(t, n%2 == 0, got.Username != "")
		if n%2 == 1 {
			require.Equal(t, []string{want.Member.ID, want.ObjectMember.ID}, []string{got.MemberID, got.ObjectMemberID})
			require.Equal(t, *want.Member, members[got.MemberID])
			require.Equal(t, *want.ObjectMember, members[got.ObjectMemberID])
		}
		require.Equal(t, want.Timestamp, r.OccurredAt)
		require.Equal(t, []string{sdk.KindActivity, want.ParentID, want.Version}, []string{r.ParentKind, r.ParentID, string(r.Version)})
		want.ID, want.ParentID, want.Version, want.Member, want.ObjectMember = "", "", "", nil, nil
		require.Equal(t, want, got.Activity)
	}
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	require.NoError(t, d.Decode(into))
}

// importOverWire does one run of the plugin, served over a socket, and returns what
// is kept.
func importOverWire(t *testing.T, p sdk.Plugin) []store.StoredRecord {
	t.Helper()
	client, stop, err := plugin.OverWire(t.Context(), p)
	require.NoError(t, err)
	t.Cleanup(stop)
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "data")})
	require.NoError(t, err)
	require.NoError(t, db.ApplyChanges(t.Context(), []store.Change{{
		Op: store.ChangeCreate, UID: "0123456789abcdef", Sync: true,
		Spec: store.IntegrationSpec{Tenant: "acme", Name: "one", Plugin: "script", Connectors: []string{"things"}, Every: -1, Enabled: true, Settings: []byte(`{}`), SettingsSum: []byte("s")},
	}}))
	r := runner.New(db, overWire{client}, openVault{}, runner.Options{})
	sched := scheduler.New(db, func(ctx context.Context, l store.Lane, h *scheduler.Hold) error { return r.Work(ctx, l, h) },
		scheduler.Options{Plugins: func() []string { return []string{"script"} }, Wake: db.Wakes()})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sched.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, db.Close())
	}()
	var run store.Run
	require.Eventually(t, func() bool {
		runs, err := db.Runs(t.Context(), store.RunFilter{Limit: 1})
		if err == nil && len(runs) == 1 {
			run = runs[0]
		}
		return run.State.Terminal()
	}, time.Minute, 5*time.Millisecond)
	require.Equal(t, store.RunProcessed, run.State, "%+v", run.Failure)
	require.Zero(t, run.Stats.Warnings)
	records, err := db.Records(t.Context(), store.RecordFilter{Limit: 10_000})
	require.NoError(t, err)
	return records
}
