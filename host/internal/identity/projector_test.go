package identity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jackfield/jackfield/host/internal/identity"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

func jsonUnmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

func openTemp(t *testing.T, integrations ...string) *world {
	t.Helper()
	w := open(t, t.TempDir(), integrations...)
	t.Cleanup(func() { require.NoError(t, w.db.Close()) })
	return w
}

// rows: K06
func TestSourcesThatShareAnAccountAreOneMember(t *testing.T) {
	t.Parallel()
	w := openTemp(t, "acme/slack", "acme/github", "other/slack")
	w.apply("acme/slack", []store.Record{member(t, "U1", "slack:ann", "github:ann"), member(t, "U2", "slack:bob")})
	w.apply("acme/github", []store.Record{member(t, "g1", "github:ann"), member(t, "g2", "github:bob")})
	w.apply("other/slack", []store.Record{member(t, "U1", "slack:ann", "github:ann")})
	w.catchUp(1)
	require.Equal(t, [][]string{{"github/g1", "slack/U1"}, {"github/g2"}, {"slack/U2"}}, w.groups("acme"))
	require.Equal(t, [][]string{{"slack/U1"}}, w.groups("other"), "a tenant's members are its own")
	merges := w.merges("acme")
	require.Len(t, merges, 1)
	require.Equal(t, store.Account{Platform: "github", Username: "ann"}, merges[0].Account)
	require.Empty(t, w.merges("other"))

	// One more account makes two members one; without it they are two again.
	w.apply("acme/slack", []store.Record{member(t, "U2", "slack:bob", "github:bob")})
	w.catchUp(10)
	require.Equal(t, [][]string{{"github/g1", "slack/U1"}, {"github/g2", "slack/U2"}}, w.groups("acme"))
	w.apply("acme/slack", []store.Record{member(t, "U2", "slack:bob"), gone("U1")})
	w.catchUp(10)
	require.Equal(t, [][]string{{"github/g1"}, {"github/g2"}, {"slack/U2"}}, w.groups("acme"))

	found, err := w.db.Members(t.Context(), store.MemberFilter{Tenant: "acme", Account: store.Account{Platform: "github", Username: "bob"}})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "g2", found[0].Sources[0].ExternalID)
}

// rows: K06
func TestOnlyWhatIsVouchedForMakesMembersOne(t *testing.T) {
	t.Parallel()
	w := openTemp(t, "acme/a", "acme/b")
	likely := func(id string) store.Record {
		return recordOf(t, sdk.Member{
			ID: id, DisplayName: "Ann", Emails: []string{"ann@example.com"},
			WeakIdentities: []sdk.Identity{{Platform: "github", Username: "ann"}}, Identities: []sdk.Identity{{Platform: "p", Username: id}, {Platform: "p"}},
		})
	}
	w.apply("acme/a", []store.Record{likely("1")})
	w.apply("acme/b", []store.Record{likely("2"), member(t, "3", "github:ann")})
	w.catchUp(10)
	require.Len(t, w.groups("acme"), 3)
	// A plugin that knows an address to be verified says so.
	w.apply("acme/a", []store.Record{member(t, "4", "email:ann@example.com")})
	w.apply("acme/b", []store.Record{member(t, "5", "email:ann@example.com")})
	w.catchUp(10)
	require.Contains(t, w.groups("acme"), []string{"a/4", "b/5"})
}

// rows: K05, K06
func TestAnUpdateOfIdentitiesCounts(t *testing.T) {
	t.Parallel()
	w := openTemp(t, "acme/a", "acme/b")
	w.apply("acme/a", []store.Record{member(t, "1", "p:one")})
	w.apply("acme/b", []store.Record{member(t, "2", "p:two")})
	w.catchUp(10)
	require.Len(t, w.groups("acme"), 2)
	w.apply("acme/b", nil, store.Update{Kind: store.KindMember, ExternalID: "2", Patch: []byte(`{"identities":[{"platform":"p","username":"one"}]}`)})
	w.catchUp(10)
	require.Len(t, w.groups("acme"), 1)
}

// rows: K06
func TestAnAccountOfEverybodyIsNobodys(t *testing.T) {
	t.Parallel()
	w := openTemp(t, "acme/a")
	var all []store.Record
	for n := range store.MaxClaimants {
		all = append(all, member(t, fmt.Sprint(n), "p:unknown"))
	}
	w.apply("acme/a", all)
	w.catchUp(33)
	require.Len(t, w.groups("acme"), 1)
	w.apply("acme/a", []store.Record{member(t, "more", "p:unknown", "p:own"), member(t, "most", "p:unknown", "p:own")})
	w.catchUp(33)
	require.Len(t, w.groups("acme"), store.MaxClaimants+1, "those with an account of their own stay one")
	require.Equal(t, w.expected(), w.members("acme"))
	w.apply("acme/a", []store.Record{gone("more"), gone("7")})
	w.catchUp(33)
	require.Len(t, w.groups("acme"), 1)
	require.Equal(t, w.expected(), w.members("acme"))
}

// rows: K06
func TestAMergeThatWasUndoneStaysUndone(t *testing.T) {
	t.Parallel()
	w := openTemp(t, "acme/a", "acme/b", "acme/c")
	w.apply("acme/a", []store.Record{member(t, "1", "p:ann")})
	w.apply("acme/b", []store.Record{member(t, "2", "p:ann", "q:two"), member(t, "3", "q:two")})
	w.catchUp(10)
	require.Equal(t, [][]string{{"a/1", "b/2", "b/3"}}, w.groups("acme"))
	merges := w.merges("acme")
	require.Len(t, merges, 2)
	i := slices.IndexFunc(merges, func(m store.MemberMerge) bool { return m.Username == "ann" })
	_, err := w.db.UndoMerge(t.Context(), "other", merges[i].ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = w.db.UndoMerge(t.Context(), "acme", merges[i].ID)
	require.NoError(t, err)
	w.catchUp(10)
	apart := w.groups("acme")
	require.NotContains(t, apart, []string{"a/1", "b/2", "b/3"})
	require.Equal(t, w.expected(), w.members("acme"))
	_, err = w.db.UndoMerge(t.Context(), "acme", merges[i].ID)
	require.ErrorIs(t, err, store.ErrConflict)

	w.apply("acme/b", []store.Record{recordOf(t, sdk.Member{ID: "2", DisplayName: "changed", Identities: []sdk.Identity{{Platform: "p", Username: "ann"}, {Platform: "q", Username: "two"}}})})
	w.catchUp(10)
	require.Equal(t, apart, w.groups("acme"), "after a change of the source")
	w.rebuild("acme", 1)
	require.Equal(t, apart, w.groups("acme"), "after they were made anew")
	w.apply("acme/c", []store.Record{member(t, "4", "p:ann")})
	w.catchUp(10)
	require.Equal(t, w.expected(), w.members("acme"))
	require.Contains(t, w.groups("acme"), []string{"a/1", "c/4"}, "who comes later goes to those that kept the account")
}

// Two merges are undone before the members are looked at again: the first one's step
// moves the other's source, which is still to be looked at.
//
// rows: K06
func TestTwoMergesAreUndoneAtOnce(t *testing.T) {
	t.Parallel()
	w := openTemp(t, "acme/a", "acme/b")
	w.apply("acme/a", []store.Record{member(t, "1", "p:nine")})
	w.apply("acme/a", []store.Record{member(t, "2", "p:five", "p:nine")})
	w.apply("acme/a", []store.Record{member(t, "3", "p:five")})
	w.catchUp(10)
	require.Equal(t, [][]string{{"a/1", "a/2", "a/3"}}, w.groups("acme"))
	merges := w.merges("acme")
	require.Len(t, merges, 2)
	slices.SortFunc(merges, func(a, b store.MemberMerge) int { return int(b.Merged - a.Merged) })
	for _, m := range merges {
		_, err := w.db.UndoMerge(t.Context(), "acme", m.ID)
		require.NoError(t, err)
	}
	w.catchUp(1)
	require.Equal(t, w.expected(), w.members("acme"))
	w.apply("acme/b", []store.Record{member(t, "4", "p:five")})
	w.catchUp(1)
	require.Equal(t, w.expected(), w.members("acme"))
}

// rows: K06
func TestASourceThatWentWithoutAWordIsFound(t *testing.T) {
	t.Parallel()
	w := openTemp(t, "acme/a")
	w.apply("acme/a", []store.Record{member(t, "1", "p:ann"), member(t, "2", "p:ann")})
	w.catchUp(10)
	records, err := w.db.Records(t.Context(), store.RecordFilter{Tenant: "acme"})
	require.NoError(t, err)
	lost := records[0].Born
	// A step that names a source of no record stands for one whose record was
	// removed with its integration.
	due := store.MemberCursor{Tenant: "acme"}
	tenants, err := w.db.Tenants(t.Context())
	require.NoError(t, err)
	due.TenantID, due.Position, due.Version = tenants[0].ID, records[1].Position, 1
	require.NoError(t, w.db.MemberStep(t.Context(), store.MemberStep{
		From: due, Through: due.Position, Members: map[int64]int{lost: 3},
		Sources: []store.MemberSource{{Source: 1 << 40, Member: lost, IntegrationID: 1, ExternalID: "ghost"}},
		Added:   []store.Claim{{Source: 1 << 40, Account: store.Account{Platform: "p", Username: "ann"}}},
	}))
	p := identity.New(w.db, identity.Options{})
	require.NoError(t, p.Sweep(t.Context()))
	w.catchUp(10)
	left, err := w.db.SourcesOfMembers(t.Context(), []int64{lost})
	require.NoError(t, err)
	require.Len(t, left, 2)
	claims, err := w.db.ClaimsOf(t.Context(), []int64{1 << 40})
	require.NoError(t, err)
	require.Empty(t, claims)
}

// rows: K06, K23
func TestSeveralHostsMakeTheSameMembers(t *testing.T) {
	t.Parallel()
	w := openTemp(t, "acme/a", "acme/b")
	ctx, stop := context.WithCancel(t.Context())
	var hosts sync.WaitGroup
	for n := range 3 {
		p := identity.New(w.db, identity.Options{Batch: n + 1, Rest: time.Millisecond, Changed: w.db.Changed})
		hosts.Go(func() { require.NoError(t, p.Run(ctx)) })
	}
	for n := range 60 {
		w.apply([]string{"acme/a", "acme/b"}[n%2], []store.Record{member(t, fmt.Sprint(n), fmt.Sprintf("p:%d", n), fmt.Sprintf("p:%d", n/3*3))})
	}
	want := w.expected()
	require.Eventually(t, func() bool {
		due, err := w.db.DueMembers(t.Context(), 0, 10)
		return err == nil && len(due) == 0
	}, time.Minute, 10*time.Millisecond)
	stop()
	hosts.Wait()
	require.Equal(t, want, w.members("acme"))
	require.Len(t, want, 20)
}

// rows: K06
func TestMembersFollowFromTheRecordsAlone(t *testing.T) {
	t.Parallel()
	longest := 40
	if testing.Short() { // it takes minutes under the race detector
		longest = 8
	}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "jf") //nolint:usetesting // a case of rapid has none
		require.NoError(t, err)
		defer func() { _ = os.RemoveAll(dir) }()
		names := []string{"acme/a", "acme/b", "acme/c"}
		w := open(t, dir, names...)
		defer func() { require.NoError(t, w.db.Close()) }()
		account := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("p:%d", rapid.IntRange(0, 9).Draw(t, "account")) })
		for range rapid.IntRange(1, longest).Draw(t, "acts") {
			switch act := rapid.IntRange(0, 9).Draw(t, "act"); {
			case act < 6:
				var some []store.Record
				for _, id := range rapid.SliceOfNDistinct(rapid.IntRange(0, 7), 1, 4, rapid.ID).Draw(t, "ids") {
					accounts := rapid.SliceOfN(account, 0, 3).Draw(t, "accounts")
					if rapid.IntRange(0, 5).Draw(t, "delete") == 0 {
						some = append(some, gone(fmt.Sprint(id)))
					} else {
						some = append(some, member(t, fmt.Sprint(id), accounts...))
					}
				}
				w.apply(rapid.SampledFrom(names).Draw(t, "integration"), some)
			case act < 8:
				p := identity.New(w.db, identity.Options{Batch: rapid.IntRange(1, 5).Draw(t, "batch")})
				_, err := p.CatchUp(context.Background())
				require.NoError(t, err)
			case act == 8:
				merges := w.merges("acme")
				if len(merges) == 0 {
					continue
				}
				_, err := w.db.UndoMerge(context.Background(), "acme", rapid.SampledFrom(merges).Draw(t, "merge").ID)
				if err != nil {
					require.ErrorIs(t, err, store.ErrConflict)
				}
			default:
				w.catchUp(3)
				require.Equal(t, w.expected(), w.members("acme"))
			}
		}
		w.catchUp(rapid.IntRange(1, 50).Draw(t, "last batch"))
		want := w.members("acme")
		require.Equal(t, w.expected(), want)
		w.rebuild("acme", rapid.IntRange(1, 50).Draw(t, "rebuild batch"))
		require.Equal(t, want, w.members("acme"), "made anew they are the same")
	})
}
