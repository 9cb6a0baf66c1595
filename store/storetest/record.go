package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K04, K05, C15, I01
func testRecords(t *testing.T, setup func(*testing.T) *world) {
	// apply applies records in one segment each and returns what became of them.
	apply := func(w *world) (*job, func(...store.Record) store.RunStats) {
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		return j, func(records ...store.Record) store.RunStats {
			w.Helper()
			seg.Records = records
			a := j.apply(seg)
			seg.Seq++
			n := a.Stats
			require.Equal(w, int64(len(records)), n.Read)
			require.Equal(w, n.Read, n.Added+n.Updated+n.Deleted+n.Unchanged+n.Stale)
			n.Read = 0
			return n
		}
	}

	t.Run("KeepsWhatIsGiven", func(t *testing.T) {
		w := setup(t)
		j, put := apply(w)
		r := store.Record{
			Kind: "activity", ExternalID: "1", ParentKind: "activity", ParentID: "0", Version: []byte{0, 1, 255},
			OccurredAt: time.Date(1969, 1, 2, 3, 4, 5, 6e6, time.UTC), Data: []byte(`{"text":"Ünï\u0000 ☂"}`),
		}
		require.Equal(t, store.RunStats{Added: 1}, put(r))
		got := w.records(j.i)
		require.Len(t, got, 1)
		require.Equal(t, "acme", got[0].Tenant)
		require.Equal(t, j.i.Name, got[0].Integration)
		require.Equal(t, got[0].Born, got[0].Position)
		r.IntegrationID, r.Position, r.Born = j.i.ID, got[0].Position, got[0].Born
		require.Equal(t, r, got[0].Record)
		counts, err := w.s.RecordCounts(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.Equal(t, map[string]int64{"activity": 1}, counts)
	})

	t.Run("EachPartCountsForTheHash", func(t *testing.T) {
		w := setup(t)
		base := store.Record{Kind: "a", ExternalID: "1", ParentKind: "b", ParentID: "2", OccurredAt: w.clock.Now(), Data: []byte(`{}`)}
		j, put := apply(w)
		put(base)
		for name, change := range map[string]func(*store.Record){
			"parent kind": func(r *store.Record) { r.ParentKind = "c" },
			"parent":      func(r *store.Record) { r.ParentID = "3" },
			"split":       func(r *store.Record) { r.ParentKind, r.ParentID = "", "b2" },
			"time":        func(r *store.Record) { r.OccurredAt = r.OccurredAt.Add(time.Millisecond) },
			"no time":     func(r *store.Record) { r.OccurredAt = time.Time{} },
			"version":     func(r *store.Record) { r.Version = []byte{1} },
			"empty":       func(r *store.Record) { r.Version = []byte{} },
			"data":        func(r *store.Record) { r.Data = []byte(`{"a":1}`) },
			"deleted":     func(r *store.Record) { r.Deleted, r.Data = true, nil },
		} {
			r := base
			change(&r)
			n := put(r)
			require.Equal(t, int64(1), n.Updated+n.Deleted, name)
			require.Equal(t, store.RunStats{Unchanged: 1}, put(r), name)
			if r.Version == nil { // else the older one would be stale
				require.Equal(t, store.RunStats{Updated: 1}, put(base), name)
				continue
			}
			back := base
			back.Version = []byte{2}
			put(back)
			require.Equal(t, store.RunStats{Updated: 1}, put(base), name)
		}
		require.Len(t, w.records(j.i), 1)
		versioned := base // the same data by a newer version: else an older one could undo it
		versioned.Version = []byte("3")
		put(versioned)
		versioned.Version = []byte("5")
		require.Equal(t, store.RunStats{Updated: 1}, put(versioned))
		versioned.Version, versioned.Data = []byte("4"), []byte(`{"old":true}`)
		require.Equal(t, store.RunStats{Stale: 1}, put(versioned))
	})

	t.Run("UnchangedMovesNothing", func(t *testing.T) {
		w := setup(t)
		j, put := apply(w)
		put(record("1", "x"), record("2", "x"))
		before := w.records(j.i)
		at, err := w.s.Position(w.ctx())
		require.NoError(t, err)
		require.Equal(t, store.RunStats{Unchanged: 2}, put(record("1", "x"), record("2", "x")))
		require.Equal(t, before, w.records(j.i))
		same, err := w.s.Position(w.ctx())
		require.NoError(t, err)
		require.Equal(t, at, same)
		put(record("1", "y"))
		after := w.records(j.i)
		require.Equal(t, "2", after[0].ExternalID) // the feed is in the order of changes
		require.Equal(t, "1", after[1].ExternalID)
		require.Greater(t, after[1].Position, at)
		require.Equal(t, before[0].Born, after[1].Born)
		tail, err := w.s.Records(w.ctx(), store.RecordFilter{After: at})
		require.NoError(t, err)
		require.Len(t, tail, 1)
	})

	t.Run("OldNeverOverwritesNew", func(t *testing.T) {
		w := setup(t)
		j, put := apply(w)
		v := func(version, data string) store.Record {
			r := record("1", data)
			r.Version = []byte(version)
			return r
		}
		put(v("5", "five"))
		require.Equal(t, store.RunStats{Stale: 1}, put(v("4", "four")))
		require.Equal(t, store.RunStats{Unchanged: 1}, put(v("5", "five")))
		require.Equal(t, store.RunStats{Updated: 1}, put(v("5", "five anew")))
		old := v("4", "")
		old.Deleted, old.Data = true, nil
		require.Equal(t, store.RunStats{Stale: 1}, put(old))
		require.Equal(t, store.RunStats{Updated: 1}, put(v("6", "six")))
		require.Equal(t, store.RunStats{Updated: 1}, put(record("1", "without"))) // no version on one side
		require.Equal(t, store.RunStats{Updated: 1}, put(v("1", "one")))
		require.JSONEq(t, `{"text":"one"}`, string(w.records(j.i)[0].Data))
		// Within one segment it is as if they came one after the other.
		require.Equal(t, store.RunStats{Updated: 1, Stale: 2}, put(v("8", "eight"), v("9", "nine"), v("7", "seven")))
		require.JSONEq(t, `{"text":"nine"}`, string(w.records(j.i)[0].Data))
	})

	t.Run("DeleteAndTheSameAgain", func(t *testing.T) {
		w := setup(t)
		j, put := apply(w)
		gone := store.Record{Kind: "activity", ExternalID: "1", Deleted: true}
		put(record("1", "x"))
		require.Equal(t, store.RunStats{Deleted: 1}, put(gone))
		require.Equal(t, store.RunStats{Unchanged: 1}, put(gone))
		require.True(t, w.records(j.i)[0].Deleted)
		require.Nil(t, w.records(j.i)[0].Data)
		live, err := w.s.Records(w.ctx(), store.RecordFilter{IntegrationID: j.i.ID})
		require.NoError(t, err)
		require.Empty(t, live)
		counts, err := w.s.RecordCounts(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.Zero(t, counts["activity"])
		require.Equal(t, store.RunStats{Updated: 1}, put(record("1", "x")))
		require.False(t, w.records(j.i)[0].Deleted)
		gone.ExternalID = "never seen"
		require.Equal(t, store.RunStats{Deleted: 1}, put(gone))
	})

	t.Run("ManyOfAllSorts", func(t *testing.T) {
		w := setup(t)
		j, put := apply(w)
		var all []store.Record
		for n := range 1237 { // no multiple of what a statement takes
			all = append(all, record(fmt.Sprintf("%04d", n*7919%1237), "x"))
		}
		require.Equal(t, store.RunStats{Added: 1237}, put(all...))
		require.Equal(t, store.RunStats{Unchanged: 1237}, put(all...))
		for n := range all {
			if n%3 == 0 {
				all[n].Data = []byte(`{"text":"changed"}`)
			}
		}
		require.Equal(t, store.RunStats{Updated: 413, Unchanged: 824}, put(all...))
		require.Len(t, w.records(j.i), 1237)
	})

	t.Run("RepeatedInOneSegment", func(t *testing.T) { // rows: K23
		w := setup(t)
		j, put := apply(w)
		require.Equal(t, store.RunStats{Added: 2, Stale: 2}, put(record("1", "a"), record("2", "a"), record("1", "b"), record("1", "c")))
		require.JSONEq(t, `{"text":"c"}`, string(w.records(j.i)[0].Data))
	})

	t.Run("VersionsWithinOneSegment", func(t *testing.T) { // rows: K04
		w := setup(t)
		j, put := apply(w)
		of := func(version []byte, data string) store.Record {
			r := record("1", data)
			r.Version = version
			return r
		}
		last := func() string { return string(w.records(j.i)[0].Data) }
		require.Equal(t, store.RunStats{Added: 1, Stale: 1}, put(of([]byte{2}, "newer"), of([]byte{1}, "older")))
		require.JSONEq(t, `{"text":"newer"}`, last())
		require.Equal(t, store.RunStats{Updated: 1, Stale: 1}, put(of([]byte{3}, "versioned"), of(nil, "later")))
		require.JSONEq(t, `{"text":"later"}`, last(), "without a version on one side the order counts")
		require.Equal(t, store.RunStats{Updated: 1, Stale: 1}, put(of(nil, "earlier"), of([]byte{}, "last")))
		require.JSONEq(t, `{"text":"last"}`, last())
	})

	t.Run("RefusesWhatCannotBeKept", func(t *testing.T) { // rows: F25, I11
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		for name, c := range map[string]struct {
			r    store.Record
			want error
		}{
			"no kind":        {store.Record{ExternalID: "1", Data: []byte("{}")}, store.ErrRejected},
			"no id":          {store.Record{Kind: "a", Data: []byte("{}")}, store.ErrRejected},
			"control":        {store.Record{Kind: "a", ExternalID: "a\nb", Data: []byte("{}")}, store.ErrRejected},
			"nul":            {store.Record{Kind: "a", ExternalID: "a\x00b", Data: []byte("{}")}, store.ErrRejected},
			"not utf-8":      {store.Record{Kind: "a", ExternalID: "\xff", Data: []byte("{}")}, store.ErrRejected},
			"data not utf-8": {store.Record{Kind: "a", ExternalID: "1", Data: []byte("\"\xff\"")}, store.ErrRejected},
			"no data":        {store.Record{Kind: "a", ExternalID: "1"}, store.ErrRejected},
			"long id":        {store.Record{Kind: "a", ExternalID: strings.Repeat("x", 513), Data: []byte("{}")}, store.ErrLimit},
			"large":          {store.Record{Kind: "a", ExternalID: "1", Data: make([]byte, store.MaxRecordBytes+1)}, store.ErrLimit},
		} {
			seg := j.segment(s)
			seg.Records = []store.Record{record("good", "x"), c.r}
			_, err := w.s.Apply(w.ctx(), seg)
			require.ErrorIs(t, err, c.want, name)
			require.Empty(t, w.records(j.i), name)
		}
		seg := j.segment(s)
		for n := range 5 {
			seg.Records = append(seg.Records, store.Record{Kind: "a", ExternalID: fmt.Sprint(n), Data: make([]byte, store.MaxRecordBytes)})
		}
		_, err := w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrLimit)
	})

	t.Run("TheFeedOfManyIntegrations", func(t *testing.T) {
		w := setup(t)
		var jobs []*job
		for range 3 {
			jobs = append(jobs, w.plan(store.RunRequest{}, names("a")...))
		}
		for n := range 9 {
			j := jobs[n%3]
			if n < 3 {
				j.claim()
			}
			s, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: j.run.ID})
			require.NoError(t, err)
			seg := j.segment(s[0])
			seg.Records = []store.Record{record(fmt.Sprint(n), "x")}
			j.apply(seg)
		}
		var got []string
		for after := int64(0); ; {
			page, err := w.s.Records(w.ctx(), store.RecordFilter{Tenant: "acme", After: after, Limit: 2})
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				got = append(got, r.ExternalID)
				after = r.Position
			}
		}
		require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8"}, got)
		one, err := w.s.Records(w.ctx(), store.RecordFilter{Kind: "activity", ExternalID: "4"})
		require.NoError(t, err)
		require.Len(t, one, 1)
		none, err := w.s.Records(w.ctx(), store.RecordFilter{Tenant: "other"})
		require.NoError(t, err)
		require.Empty(t, none)
	})
}
