package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K15, I01, I03, I06
func testConcurrency(t *testing.T, setup func(*testing.T) *world) {
	t.Run("SixtyFourStreamsOfOneRun", func(t *testing.T) {
		w := setup(t)
		const streams, segments, records = 64, 5, 20
		var idents []string
		for n := range streams {
			idents = append(idents, fmt.Sprintf("s%02d", n))
		}
		j := w.plan(store.RunRequest{}, names(idents...)...)
		var (
			wg    sync.WaitGroup
			mu    sync.Mutex
			errs  []error
			ended int
		)
		for n, s := range j.claims(streams) {
			wg.Go(func() {
				seg := j.segment(s)
				for k := range segments {
					seg.Records = nil
					for r := range records {
						seg.Records = append(seg.Records, record(fmt.Sprintf("%d-%d-%d", n, k, r), "x"), record(fmt.Sprintf("common-%d", r), fmt.Sprint(n, k)))
					}
					if k == segments-1 {
						end := done()
						seg.End = &end
					}
					a, err := w.s.Apply(w.ctx(), seg)
					mu.Lock()
					if a.RunEnded {
						ended++
					}
					if err != nil {
						errs = append(errs, err)
					}
					mu.Unlock()
					seg.Seq++
				}
			})
		}
		wg.Wait()
		require.Empty(t, errs)
		require.Equal(t, 1, ended)
		r := j.reload()
		require.Equal(t, store.RunProcessed, r.State)
		require.Equal(t, store.StreamCounts{Processed: streams}, r.Streams)
		require.Equal(t, int64(2*streams*segments*records), r.Stats.Read)
		require.Equal(t, int64(streams*segments*records+records), r.Stats.Added)
		require.Equal(t, r.Stats.Read, r.Stats.Added+r.Stats.Updated+r.Stats.Unchanged)
		require.Len(t, w.records(j.i), streams*segments*records+records)
		require.Equal(t, []string{"run.processed"}, w.events(r.ID))
		all, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: r.ID, Limit: 100})
		require.NoError(t, err)
		var sum store.RunStats
		for _, s := range all {
			require.Equal(t, int64(segments), s.Seq)
			sum.Read += s.Stats.Read
			sum.Added += s.Stats.Added
			sum.Updated += s.Stats.Updated
			sum.Unchanged += s.Stats.Unchanged
		}
		require.Equal(t, r.Stats, sum)
	})

	t.Run("OneThatIsRefusedFailsAlone", func(t *testing.T) {
		w := setup(t)
		const streams = 32
		var idents []string
		for n := range streams {
			idents = append(idents, fmt.Sprintf("s%02d", n))
		}
		j := w.plan(store.RunRequest{}, names(idents...)...)
		var (
			wg   sync.WaitGroup
			errs = make([]error, streams)
		)
		for n, s := range j.claims(streams) {
			wg.Go(func() {
				seg := j.segment(s)
				seg.Records = []store.Record{record(fmt.Sprint(n), "x")}
				seg.End = new(store.StreamEnd)
				*seg.End = done()
				if n == 7 { // a partition that belongs to another
					seg.Streams = []store.NewStream{{Ident: "thief", Connector: "commits", Partition: "s00"}}
				}
				_, errs[n] = w.s.Apply(w.ctx(), seg)
			})
		}
		wg.Wait()
		for n, err := range errs {
			if n == 7 {
				require.ErrorIs(t, err, store.ErrRejected)
			} else {
				require.NoError(t, err)
			}
		}
		require.Len(t, w.records(j.i), streams-1)
		require.Equal(t, store.StreamCounts{Processed: streams - 1, Processing: 1}, j.reload().Streams)
	})

	t.Run("StaleOnesAreDroppedFromTheGroup", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b", "c", "d")...)
		var (
			wg   sync.WaitGroup
			errs = make([]error, 4)
		)
		for n, s := range j.claims(4) {
			wg.Go(func() {
				seg := j.segment(s)
				seg.Records = []store.Record{record(fmt.Sprint(n), "x")}
				if n%2 == 1 {
					seg.Claim--
				}
				_, errs[n] = w.s.Apply(w.ctx(), seg)
			})
		}
		wg.Wait()
		require.NoError(t, errs[0])
		require.ErrorIs(t, errs[1], store.ErrStale)
		require.NoError(t, errs[2])
		require.ErrorIs(t, errs[3], store.ErrStale)
		require.Len(t, w.records(j.i), 2)
	})

	t.Run("ManyHostsClaimEachLaneOnce", func(t *testing.T) {
		w := setup(t)
		const lanes = 50
		for n := range lanes {
			w.create(fmt.Sprintf("i%d", n))
		}
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			seen = make(map[int64]int)
			errs []error
		)
		for range 8 {
			wg.Go(func() {
				for {
					got, err := w.s.ClaimLanes(w.ctx(), store.LaneClaim{Plugins: []string{plug}, Limit: 3, Lease: lease})
					mu.Lock()
					for _, l := range got {
						seen[l.ID]++
					}
					if err != nil {
						errs = append(errs, err)
					}
					mu.Unlock()
					if len(got) == 0 {
						return
					}
				}
			})
		}
		wg.Wait()
		require.Empty(t, errs)
		require.Len(t, seen, lanes)
		for _, n := range seen {
			require.Equal(t, 1, n)
		}
	})

	t.Run("ACallerThatHasGoneWritesNothing", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		ctx, cancel := context.WithCancel(w.ctx())
		cancel()
		_, _, err := w.s.RequestRun(ctx, store.RunRequest{IntegrationID: i.ID, Kind: store.RunManual})
		if err != nil { // it may have been taken before
			require.ErrorIs(t, err, context.Canceled)
			runs, err := w.s.Runs(w.ctx(), store.RunFilter{IntegrationID: i.ID})
			require.NoError(t, err)
			require.Empty(t, runs)
		}
	})
}
