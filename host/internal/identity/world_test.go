package identity_test

import (
	"context"
	flags "flag"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/host/internal/identity"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

func TestMain(m *testing.M) {
	flags.Parse()
	if f := flags.Lookup("rapid.checks"); testing.Short() && f.Value.String() == f.DefValue {
		_ = f.Value.Set("30") // a number: each case opens a store
	}
	goleak.VerifyTestMain(m)
}

// tester is a *testing.T, or rapid's of one case.
type tester interface {
	require.TestingT
	Helper()
}

// world is a store with integrations whose members a test writes.
type world struct {
	t    tester
	db   *sqlite.DB
	segs map[string]*store.Segment // by integration
	ids  map[string]int64
}

// open returns a world with these integrations, tenant/name.
func open(t tester, dir string, integrations ...string) *world {
	t.Helper()
	db, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(dir, "data")})
	require.NoError(t, err)
	w := &world{t: t, db: db, segs: map[string]*store.Segment{}, ids: map[string]int64{}}
	for n, name := range integrations {
		w.add(n, name)
	}
	return w
}

// add makes an integration with a stream that a test applies to.
func (w *world) add(n int, name string) {
	w.t.Helper()
	ctx := context.Background()
	tenant, local := filepath.Split(name)
	uid, plugin := fmt.Sprintf("%016x", n+1), fmt.Sprintf("p%d", n)
	require.NoError(w.t, w.db.ApplyChanges(ctx, []store.Change{{
		Op: store.ChangeCreate, UID: uid, Sync: true,
		Spec: store.IntegrationSpec{Tenant: filepath.Clean(tenant), Name: local, Plugin: plugin, Connectors: []string{"c"}, Every: -1, Enabled: true, Settings: []byte("{}"), SettingsSum: []byte("s")},
	}}))
	in, err := w.db.IntegrationByUID(ctx, uid)
	require.NoError(w.t, err)
	lanes, err := w.db.ClaimLanes(ctx, store.LaneClaim{Plugins: []string{plugin}, Limit: 1, Lease: time.Hour})
	require.NoError(w.t, err)
	require.Len(w.t, lanes, 1)
	run, ok, err := w.db.NextRun(ctx, lanes[0])
	if err == nil && !ok {
		run, _, err = w.db.RequestRun(ctx, store.RunRequest{IntegrationID: in.ID, Class: "pull", Kind: store.RunCheck})
	}
	require.NoError(w.t, err)
	run, err = w.db.BeginRun(ctx, lanes[0].Ref(), run.ID, store.RunBegin{})
	require.NoError(w.t, err)
	streams, err := w.db.ClaimStreams(ctx, lanes[0].Ref(), run.ID, 1)
	require.NoError(w.t, err)
	require.Len(w.t, streams, 1)
	w.ids[name] = in.ID
	w.segs[name] = &store.Segment{
		Lane: lanes[0].Ref(), Generation: lanes[0].Generation, RunID: run.ID, StreamID: streams[0].ID, Claim: streams[0].Claim, Seq: streams[0].Seq,
	}
}

// apply applies records and updates to an integration.
func (w *world) apply(integration string, records []store.Record, updates ...store.Update) {
	w.t.Helper()
	seg := w.segs[integration]
	seg.Records, seg.Updates = records, updates
	a, err := w.db.Apply(context.Background(), *seg)
	require.NoError(w.t, err)
	seg.Seq = a.Seq
}

// member returns the record of a member with these accounts, platform:username.
func member(t tester, id string, accounts ...string) store.Record {
	t.Helper()
	m := sdk.Member{ID: id, DisplayName: id}
	for _, a := range accounts {
		platform, username := cut(a)
		m.Identities = append(m.Identities, sdk.Identity{Platform: platform, Username: username})
	}
	return recordOf(t, m)
}

func recordOf(t tester, m sdk.Member) store.Record {
	t.Helper()
	r, err := m.Record()
	require.NoError(t, err)
	return store.Record{Kind: r.Kind, ExternalID: r.ID, Data: r.Data, Deleted: r.Delete}
}

func cut(account string) (platform, username string) {
	for i := range account {
		if account[i] == ':' {
			return account[:i], account[i+1:]
		}
	}
	return "p", account
}

// gone returns the deletion of a member.
func gone(id string) store.Record {
	return store.Record{Kind: store.KindMember, ExternalID: id, Deleted: true}
}

// catchUp makes members until there is nothing left to do, n records a step.
func (w *world) catchUp(n int) {
	w.t.Helper()
	p := identity.New(w.db, identity.Options{Batch: n})
	for range 10_000 {
		more, err := p.CatchUp(context.Background())
		require.NoError(w.t, err)
		if !more {
			return
		}
	}
	require.FailNow(w.t, "it does not come to an end")
}

// members returns the sources of each member, as integration/id.
func (w *world) members(tenant string) map[int64][]string {
	w.t.Helper()
	out := map[int64][]string{}
	for after := int64(0); ; {
		page, err := w.db.Members(context.Background(), store.MemberFilter{Tenant: tenant, After: after, Limit: 7})
		require.NoError(w.t, err)
		for _, m := range page {
			after = m.ID
			require.Equal(w.t, m.ID, m.Sources[0].Born, "the smallest source is the member's id")
			for _, s := range m.Sources {
				out[m.ID] = append(out[m.ID], s.Integration+"/"+s.ExternalID)
			}
		}
		if len(page) < 7 {
			return out
		}
	}
}

// groups returns the members without their ids.
func (w *world) groups(tenant string) (out [][]string) {
	w.t.Helper()
	for _, sources := range w.members(tenant) {
		slices.Sort(sources)
		out = append(out, sources)
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

// expected returns the members as they follow from the records, the long way.
func (w *world) expected() map[int64][]string {
	w.t.Helper()
	ctx, tenant := context.Background(), "acme"
	records, err := w.db.Records(ctx, store.RecordFilter{Tenant: tenant, Kind: store.KindMember, Limit: 10_000})
	require.NoError(w.t, err)
	slices.SortFunc(records, func(a, b store.StoredRecord) int { return int(a.Born - b.Born) })
	tenants, err := w.db.Tenants(ctx)
	require.NoError(w.t, err)
	of := tenants[slices.IndexFunc(tenants, func(t store.Tenant) bool { return t.Name == tenant })].ID
	type name struct {
		store.Account
		split int64
	}
	who := map[name][]int{}
	for i, r := range records {
		splits, err := w.db.SplitsOf(ctx, of, []store.MemberSource{{Source: r.Born, IntegrationID: r.IntegrationID, ExternalID: r.ExternalID}})
		require.NoError(w.t, err)
		seen := map[name]bool{}
		for _, a := range accountsOf(w.t, r.Data) {
			n := name{Account: a}
			for _, s := range splits {
				if s.Account == a {
					n.split = s.Split
				}
			}
			if !seen[n] {
				who[n], seen[n] = append(who[n], i), true
			}
		}
	}
	lowest := make([]int, len(records))
	for i := range lowest {
		lowest[i] = i
	}
	for changed := true; changed; {
		changed = false
		for _, claimants := range who {
			if len(claimants) > store.MaxClaimants {
				continue
			}
			least := lowest[claimants[0]]
			for _, i := range claimants {
				least = min(least, lowest[i])
			}
			for _, i := range claimants {
				changed = changed || lowest[i] != least
				lowest[i] = least
			}
		}
	}
	out := map[int64][]string{}
	for i, r := range records {
		id := records[lowest[i]].Born
		out[id] = append(out[id], r.Integration+"/"+r.ExternalID)
	}
	return out
}

func accountsOf(t tester, data []byte) (out []store.Account) {
	t.Helper()
	var m sdk.Member
	require.NoError(t, jsonUnmarshal(data, &m))
	for _, i := range m.Identities {
		out = append(out, store.Account{Platform: i.Platform, Username: i.Username})
	}
	return out
}

// merges returns the merges that stand.
func (w *world) merges(tenant string) []store.MemberMerge {
	w.t.Helper()
	all, err := w.db.MemberMerges(context.Background(), tenant, 0, 0, 10_000)
	require.NoError(w.t, err)
	return slices.DeleteFunc(all, func(m store.MemberMerge) bool { return !m.UndoneAt.IsZero() })
}

// rebuild makes the members anew.
func (w *world) rebuild(tenant string, batch int) {
	w.t.Helper()
	tenants, err := w.db.Tenants(context.Background())
	require.NoError(w.t, err)
	for _, t := range tenants {
		if t.Name == tenant {
			require.NoError(w.t, w.db.RebuildMembers(context.Background(), t.ID))
		}
	}
	w.catchUp(batch)
}
