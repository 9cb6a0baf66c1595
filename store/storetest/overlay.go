package storetest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K05, C12
func testOverlays(t *testing.T, setup func(*testing.T) *world) {
	begin := func(w *world) (*job, func([]store.Record, ...store.Update) store.RunStats) {
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		return j, func(records []store.Record, updates ...store.Update) store.RunStats {
			w.Helper()
			seg.Records, seg.Updates = records, updates
			a := j.apply(seg)
			seg.Seq++
			n := a.Stats
			require.Equal(w, n.Read, n.Added+n.Updated+n.Deleted+n.Unchanged+n.Stale)
			n.Read = 0
			return n
		}
	}
	member := func(data, version string) []store.Record {
		r := store.Record{Kind: "member", ExternalID: "ann", Data: []byte(data)}
		if version != "" {
			r.Version = []byte(version)
		}
		return []store.Record{r}
	}
	update := func(patch, version string) store.Update {
		u := store.Update{Kind: "member", ExternalID: "ann", Patch: []byte(patch)}
		if version != "" {
			u.Version = []byte(version)
		}
		return u
	}
	data := func(w *world, j *job) string {
		w.Helper()
		all := w.records(j.i)
		require.Len(w, all, 1)
		return string(all[0].Data)
	}

	t.Run("ReadersSeeImageAndOverlay", func(t *testing.T) {
		w := setup(t)
		j, put := begin(w)
		put(member(`{"bio":"b","reach":{"twitter":1}}`, ""))
		before := w.records(j.i)[0]
		require.Equal(t, store.RunStats{Updated: 1}, put(nil, update(`{"reach":{"twitter":9}}`, "")))
		require.JSONEq(t, `{"bio":"b","reach":{"twitter":9}}`, data(w, j))
		after := w.records(j.i)[0]
		require.Greater(t, after.Position, before.Position, "it moves in the feed")
		require.Equal(t, before.Born, after.Born)
		require.Equal(t, store.RunStats{Unchanged: 1}, put(nil, update(`{"reach":{"twitter":9}}`, "")))
		require.Equal(t, after.Position, w.records(j.i)[0].Position)
		// The image and its hash are what they were: the same upsert changes nothing.
		require.Equal(t, store.RunStats{Unchanged: 1}, put(member(`{"bio":"b","reach":{"twitter":1}}`, "")))
		require.Equal(t, store.RunStats{Updated: 1}, put(member(`{"bio":"c","reach":{"twitter":2}}`, "")))
		require.JSONEq(t, `{"bio":"c","reach":{"twitter":9}}`, data(w, j), "the overlay stays in force")
		require.Equal(t, store.RunStats{Updated: 1}, put(nil, update(`{"bio":null,"reach":null}`, "")))
		require.JSONEq(t, `{}`, data(w, j))
		require.Equal(t, store.RunStats{Updated: 1}, put(nil, update(`{"reach":{"twitter":9}}`, "")))
		require.JSONEq(t, `{"reach":{"twitter":9}}`, data(w, j))
		require.Equal(t, store.RunStats{Updated: 1}, put(nil, update(`{"reach":null}`, "")))
		require.JSONEq(t, `{}`, data(w, j))
	})

	t.Run("TheOrderDoesNotMatter", func(t *testing.T) {
		w := setup(t)
		j, put := begin(w)
		require.Equal(t, store.RunStats{Updated: 1}, put(nil, update(`{"reach":{"twitter":9}}`, "")))
		require.Empty(t, w.records(j.i), "it waits for the record")
		require.Equal(t, store.RunStats{Added: 1}, put(member(`{"bio":"b"}`, "")))
		require.JSONEq(t, `{"bio":"b","reach":{"twitter":9}}`, data(w, j))
		require.Equal(t, store.RunStats{Updated: 2}, put(member(`{"bio":"c"}`, ""), update(`{"reach":{"github":1}}`, "")), "both in one segment")
		require.JSONEq(t, `{"bio":"c","reach":{"github":1,"twitter":9}}`, data(w, j))
	})

	t.Run("VersionsOrderThem", func(t *testing.T) {
		w := setup(t)
		j, put := begin(w)
		put(member(`{"bio":"two"}`, "2"))
		require.Equal(t, store.RunStats{Updated: 1}, put(nil, update(`{"bio":"four"}`, "4")))
		require.Equal(t, store.RunStats{Stale: 1}, put(nil, update(`{"bio":"three"}`, "3")))
		require.JSONEq(t, `{"bio":"four"}`, data(w, j))
		put(member(`{"bio":"four of the image"}`, "4"))
		require.JSONEq(t, `{"bio":"four"}`, data(w, j))
		put(member(`{"bio":"five"}`, "5"))
		require.JSONEq(t, `{"bio":"five"}`, data(w, j), "a later image outdates the overlay")
		put(nil, update(`{"bio":"without"}`, ""))
		require.JSONEq(t, `{"bio":"without"}`, data(w, j))
	})

	t.Run("ADeletedRecordHasNone", func(t *testing.T) {
		w := setup(t)
		j, put := begin(w)
		put(member(`{"bio":"b"}`, ""), update(`{"reach":{"twitter":9}}`, ""))
		put([]store.Record{{Kind: "member", ExternalID: "ann", Deleted: true}})
		at := w.records(j.i)[0].Position
		put(nil, update(`{"reach":{"twitter":10}}`, ""))
		require.Empty(t, data(w, j))
		require.Equal(t, at, w.records(j.i)[0].Position)
		put(member(`{"bio":"b"}`, ""))
		require.JSONEq(t, `{"bio":"b","reach":{"twitter":10}}`, data(w, j))
	})

	t.Run("OfItsIntegrationAlone", func(t *testing.T) {
		w := setup(t)
		one, put := begin(w)
		two, putTwo := begin(w)
		put(member(`{"bio":"b"}`, ""), update(`{"bio":"patched"}`, ""))
		putTwo(member(`{"bio":"b"}`, ""))
		require.JSONEq(t, `{"bio":"patched"}`, data(w, one))
		require.JSONEq(t, `{"bio":"b"}`, data(w, two))
	})

	t.Run("RefusesWhatCannotBeKept", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		for name, c := range map[string]struct {
			u    store.Update
			want error
		}{
			"no id":     {store.Update{Kind: "member", Patch: []byte("{}")}, store.ErrRejected},
			"no object": {store.Update{Kind: "member", ExternalID: "1", Patch: []byte("1")}, store.ErrRejected},
			"large":     {store.Update{Kind: "member", ExternalID: "1", Patch: []byte(`{"a":"` + strings.Repeat("x", store.MaxRecordBytes) + `"}`)}, store.ErrLimit},
		} {
			seg := j.segment(s)
			seg.Records, seg.Updates = []store.Record{record("good", "x")}, []store.Update{c.u}
			_, err := w.s.Apply(w.ctx(), seg)
			require.ErrorIs(t, err, c.want, name)
			require.Empty(t, w.records(j.i), name)
		}
	})
}

// rows: C12
func testServices(t *testing.T, setup func(*testing.T) *world) {
	t.Run("SharedByTheIntegrationsOfATenant", func(t *testing.T) {
		w := setup(t)
		one, two := w.plan(store.RunRequest{}, names("a")...), w.plan(store.RunRequest{}, names("a")...)
		put := func(j *job, values map[string][]byte) {
			seg := j.segment(j.claim())
			seg.Service, seg.End = values, new(done())
			j.apply(seg)
		}
		put(one, map[string][]byte{"a": []byte("sealed 1"), "b": []byte("sealed 2")})
		put(two, map[string][]byte{"b": []byte("sealed 3"), "c": []byte("sealed 4")})
		got, err := w.s.Services(w.ctx(), one.i.TenantID, plug)
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"a": []byte("sealed 1"), "b": []byte("sealed 3"), "c": []byte("sealed 4")}, got)
		for _, none := range []struct {
			tenant int64
			plugin string
		}{{one.i.TenantID + 1, plug}, {one.i.TenantID, "other"}} {
			got, err := w.s.Services(w.ctx(), none.tenant, none.plugin)
			require.NoError(t, err)
			require.Empty(t, got)
		}
	})

	t.Run("IsBounded", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		seg.Service = map[string][]byte{"a": make([]byte, store.MaxServiceValueBytes+1)}
		_, err := w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrLimit)
		seg.Service = map[string][]byte{}
		for n := range store.MaxServiceKeys + 1 {
			seg.Service[strings.Repeat("k", n%60+1)+string(rune('a'+n/60))] = []byte("x")
		}
		require.Len(t, seg.Service, store.MaxServiceKeys+1)
		_, err = w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrLimit)
	})
}
