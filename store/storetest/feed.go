package storetest

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// reader follows the feed as one does who keeps what it tells.
type reader struct {
	w      *world
	filter store.RecordFilter
	seen   map[string]string // data of what is there, by integration and id
	last   int64             // position of the last change
	added  int
}

func (w *world) reader(f store.RecordFilter) *reader {
	f.Deleted = true
	return &reader{w: w, filter: f, seen: map[string]string{}}
}

// read takes one page and returns what was on it.
func (r *reader) read() []store.StoredRecord {
	r.w.Helper()
	page, err := r.w.s.Feed(r.w.ctx(), r.filter)
	require.NoError(r.w, err)
	require.GreaterOrEqual(r.w, page.Through, r.filter.After)
	for _, c := range page.Records {
		require.Greater(r.w, c.Position, r.last, "in the order of positions")
		require.LessOrEqual(r.w, c.Position, page.Through)
		r.last = c.Position
		key := c.Integration + " " + c.ExternalID
		_, known := r.seen[key]
		switch c.Change {
		case store.RecordAdded:
			r.added++
			require.False(r.w, known, "added, and known before")
			r.seen[key] = string(c.Data)
		case store.RecordUpdated:
			r.seen[key] = string(c.Data)
		default:
			require.Equal(r.w, store.RecordDeleted, c.Change)
			delete(r.seen, key)
		}
	}
	r.filter.After, r.filter.Since = page.Through, page.Since
	return page.Records
}

// rows: K23
func testFeed(t *testing.T, setup func(*testing.T) *world) {
	t.Run("TellsWhatAChangeWas", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		put := func(records ...store.Record) {
			seg.Records = records
			j.apply(seg)
			seg.Seq++
		}
		early := w.reader(store.RecordFilter{IntegrationID: j.i.ID})
		put(record("1", "x"), record("2", "x"), record("3", "x"))
		require.Len(t, early.read(), 3)
		put(record("1", "y"), store.Record{Kind: "activity", ExternalID: "2", Deleted: true}, record("3", "x"), record("4", "x"))
		put(record("4", "y"))
		changes := map[string]store.RecordChange{}
		for _, c := range early.read() {
			changes[c.ExternalID] = c.Change
		}
		require.Equal(t, map[string]store.RecordChange{
			"1": store.RecordUpdated, "2": store.RecordDeleted, "4": store.RecordAdded, // in two steps, told as one
		}, changes)
		require.Empty(t, early.read())
		late := w.reader(store.RecordFilter{Tenant: "acme"})
		require.Len(t, late.read(), 4)
		require.Equal(t, early.seen, late.seen)
		require.Equal(t, 3, late.added, "it has never seen them")
		put(record("2", "back"))
		require.Equal(t, store.RecordUpdated, early.read()[0].Change)
	})

	// What several write at once, each into an integration of its own and into one
	// that they share, reaches every reader: nothing is committed behind a position
	// that somebody went on from.
	t.Run("LateCommitsAreNotMissed", func(t *testing.T) {
		w := setup(t)
		const writers, segments = 6, 40
		var jobs []*job
		for range writers {
			jobs = append(jobs, w.plan(store.RunRequest{}, names("a", "b")...))
		}
		readers := []*reader{w.reader(store.RecordFilter{Limit: 7}), w.reader(store.RecordFilter{Tenant: "acme", Limit: 500})}
		var (
			wg   sync.WaitGroup
			done = make(chan struct{})
			errs = make([]error, 2*writers)
		)
		for n, j := range jobs {
			for k, s := range j.claims(2) {
				wg.Go(func() {
					seg := j.segment(s)
					for m := range segments {
						seg.Records = []store.Record{
							record(fmt.Sprintf("%d-%d", k, m), "x"), record("common", fmt.Sprint(k, m)), record(fmt.Sprintf("%d-%d", k, m/2), fmt.Sprint(m)),
							{Kind: "activity", ExternalID: fmt.Sprintf("%d-%d", k, m/3), Deleted: true},
						}
						_, err := w.s.Apply(w.ctx(), seg)
						if err != nil {
							errs[2*n+k] = err
							return
						}
						seg.Seq++
					}
				})
			}
		}
		go func() {
			wg.Wait()
			close(done)
		}()
		for over := false; !over; {
			select {
			case <-done:
				over = true
			default:
			}
			for _, r := range readers {
				r.read()
			}
		}
		for _, err := range errs {
			require.NoError(t, err)
		}
		want := map[string]string{}
		all, err := w.s.Records(w.ctx(), store.RecordFilter{Limit: 100_000})
		require.NoError(t, err)
		for _, r := range all {
			want[r.Integration+" "+r.ExternalID] = string(r.Data)
		}
		for _, r := range readers {
			for len(r.read()) > 0 {
				continue
			}
			require.Equal(t, want, maps.Clone(r.seen))
		}
	})
}
