package api

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

func (f *fakeStore) Members(_ context.Context, q store.MemberFilter) ([]store.Member, error) {
	return locked(f, func() ([]store.Member, error) {
		return pick(f.members, q.Limit, func(m store.Member) bool {
			return m.ID > q.After && (q.ID == 0 || q.ID == m.ID) && m.Sources[0].Tenant == q.Tenant
		}), nil
	})
}

func (f *fakeStore) MemberMerges(_ context.Context, _ string, member, after int64, n int) ([]store.MemberMerge, error) {
	return locked(f, func() ([]store.MemberMerge, error) {
		return pick(f.merges, n, func(m store.MemberMerge) bool { return m.ID > after && (member == 0 || m.Member == member) }), nil
	})
}

func (f *fakeStore) UndoMerge(_ context.Context, _ string, id int64) (store.MemberMerge, error) {
	return locked(f, func() (store.MemberMerge, error) {
		m, err := one(f.merges, func(m store.MemberMerge) bool { return m.ID == id })
		if err == nil && !m.UndoneAt.IsZero() {
			err = store.ErrConflict
		}
		return m, err
	})
}

func (f *fakeStore) RebuildMembers(_ context.Context, tenantID int64) error {
	_, err := locked(f, func() (int, error) { f.rebuilt = append(f.rebuilt, tenantID); return 0, nil })
	return err
}

func sourceOf(t *testing.T, id int64, integration string, m sdk.Member) store.StoredRecord {
	t.Helper()
	r, err := m.Record()
	require.NoError(t, err)
	return store.StoredRecord{Tenant: "acme", Integration: integration, Record: store.Record{Kind: r.Kind, ExternalID: r.ID, Data: r.Data, Born: id}}
}

// rows: C14, K06
func TestAMemberIsWhatItsSourcesSayTogether(t *testing.T) {
	t.Parallel()
	r := serve(t)
	joined := time.Date(2023, 5, 1, 10, 0, 0, 123e6, time.UTC)
	r.store.tenants = []store.Tenant{{ID: 4, Name: "acme"}}
	first := sourceOf(t, 7, "slack", sdk.Member{
		ID: "U1", DisplayName: "Ann", Emails: []string{"a@example.com"}, Bio: "<b>", JoinedAt: joined.Add(time.Hour),
		Identities:     []sdk.Identity{{Platform: "slack", Username: "ann", SourceID: "U1"}},
		WeakIdentities: []sdk.Identity{{Platform: "x", Username: "maybe"}},
		Attributes:     map[string]map[string]any{"jobs": {"slack": json.Number("12345678901234567890")}},
		Reach:          map[string]int64{"slack": 3},
		Organizations:  []sdk.Organization{{Name: "Acme", Title: "CTO", Website: "acme.example"}},
	})
	second := sourceOf(t, 9, "github", sdk.Member{
		ID: "g1", DisplayName: "ann-gh", Emails: []string{"b@example.com", "a@example.com"}, Location: "Here", JoinedAt: joined,
		Identities: []sdk.Identity{{Platform: "github", Username: "ann"}, {Platform: "slack", Username: "ann", SourceID: "U1"}},
		Attributes: map[string]map[string]any{"jobs": {"slack": "other", "github": true}, "site": {"github": "x"}},
		Reach:      map[string]int64{"slack": 4, "github": 5},
	})
	r.store.members = []store.Member{{ID: 7, Sources: []store.StoredRecord{first, second}}}
	c := hostv1.NewMemberServiceClient(r.dial())
	got, err := c.GetMember(r.ctx(), &hostv1.GetMemberRequest{Tenant: "acme", Id: "7"})
	require.NoError(t, err)
	want := &hostv1.Member{
		Id: "7", Tenant: "acme", DisplayName: "Ann", Emails: []string{"a@example.com", "b@example.com"}, Bio: "<b>", Location: "Here",
		Identities:     []*hostv1.MemberIdentity{{Platform: "slack", Username: "ann", SourceId: "U1"}, {Platform: "github", Username: "ann"}},
		WeakIdentities: []*hostv1.MemberIdentity{{Platform: "x", Username: "maybe"}},
		Attributes: []*hostv1.MemberAttribute{
			{Name: "jobs", Platform: "github", Value: []byte("true")},
			{Name: "jobs", Platform: "slack", Value: []byte("12345678901234567890")},
			{Name: "site", Platform: "github", Value: []byte(`"x"`)},
		},
		Reach:         map[string]int64{"slack": 3, "github": 5},
		Organizations: []*hostv1.MemberOrganization{{Name: "Acme", Title: "CTO", Website: "acme.example"}},
		JoinedAt:      timestamppb.New(joined),
		Sources: []*hostv1.MemberSource{
			{Id: "7", Integration: "acme/slack", ExternalId: "U1", Data: first.Data},
			{Id: "9", Integration: "acme/github", ExternalId: "g1", Data: second.Data},
		},
	}
	require.True(t, proto.Equal(want, got.GetMember()), "%v\n%v", want, got.GetMember())

	list, err := c.ListMembers(r.ctx(), &hostv1.ListMembersRequest{Tenant: "acme"})
	require.NoError(t, err)
	require.Len(t, list.GetMembers(), 1)
	require.Empty(t, list.GetNext())
	_, err = c.GetMember(r.ctx(), &hostv1.GetMemberRequest{Tenant: "other", Id: "7"})
	require.Equal(t, "not_found", info(t, err).GetCode())
	_, err = c.ListMembers(r.ctx(), &hostv1.ListMembersRequest{Tenant: "none"})
	require.Equal(t, "not_found", info(t, err).GetCode())
	_, err = c.ListMembers(r.ctx(), &hostv1.ListMembersRequest{Tenant: "acme", Platform: "github"})
	require.Equal(t, "invalid", info(t, err).GetCode())
}

// rows: K06
func TestMergesAndTheirUndoing(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.tenants = []store.Tenant{{ID: 4, Name: "acme"}}
	at := time.Date(2023, 5, 1, 10, 0, 0, 0, time.UTC)
	r.store.merges = []store.MemberMerge{
		{ID: 1, Member: 7, Merged: 9, Sources: []int64{9, 10}, Account: store.Account{Platform: "github", Username: "ann"}, At: at},
		{ID: 2, Member: 8, Merged: 11, Sources: []int64{11}, At: at, UndoneAt: at},
	}
	c := hostv1.NewMemberServiceClient(r.dial())
	got, err := c.ListMemberMerges(r.ctx(), &hostv1.ListMemberMergesRequest{Tenant: "acme", PageSize: 1})
	require.NoError(t, err)
	require.Equal(t, "1", got.GetNext())
	want := &hostv1.MemberMerge{Id: "1", Member: "7", Merged: "9", Sources: []string{"9", "10"}, Platform: "github", Username: "ann", At: timestamppb.New(at)}
	require.True(t, proto.Equal(want, got.GetMerges()[0]), "%v", got)
	undone, err := c.UndoMemberMerge(r.ctx(), &hostv1.UndoMemberMergeRequest{Tenant: "acme", Id: "1"})
	require.NoError(t, err)
	require.Equal(t, "9", undone.GetMerge().GetMerged())
	for id, code := range map[string]string{"2": "conflict", "3": "not_found", "x": "invalid"} {
		_, err = c.UndoMemberMerge(r.ctx(), &hostv1.UndoMemberMergeRequest{Tenant: "acme", Id: id})
		require.Equal(t, code, info(t, err).GetCode(), id)
	}
	_, err = c.RebuildMembers(r.ctx(), &hostv1.RebuildMembersRequest{Tenant: "acme"})
	require.NoError(t, err)
	require.Equal(t, []int64{4}, r.store.rebuilt)
}
