package sqlite

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: C43, F24
//
// A hundred thousand streams leave in portions, each a transaction of bounded size,
// while a sync goes on beside.
func TestPurgeGoesInPortions(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{NoSync: true}, 1)
	count := 100_000
	if testing.Short() {
		count = 10_000
	}
	require.NoError(t, b.db.update(t.Context(), func(ctx context.Context, tx *tx) error {
		for _, query := range []string{
			`INSERT INTO runs (id, integration_id, class, kind, state, connectors, created_at, updated_at, ended_at)
			 VALUES (1000, 77, 'pull', 'check', 'pending', '[]', 0, 0, 1)`,
			fmt.Sprintf(`INSERT INTO streams (run_id, integration_id, type, phase, ident, limit_key, state, due_at, created_at, updated_at)
			 WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < %d)
			 SELECT 1000, 77, 'root', 500, n, 'k', 'pending', 0, 0, 0 FROM n`, count),
		} {
			if _, err := tx.exec(ctx, query); err != nil {
				return err
			}
		}
		return nil
	}))
	var most atomic.Int64
	commit := b.db.write.commit
	b.db.write.commit = func(ctx context.Context) error {
		most.Store(max(most.Load(), b.db.write.tx.writes))
		return commit(ctx)
	}
	type outcome struct {
		portions int
		err      error
	}
	purged := make(chan outcome, 1)
	go func() {
		var o outcome
		for more := true; more && o.err == nil; o.portions++ {
			more, o.err = b.db.Purge(t.Context(), store.DefaultRetention())
		}
		purged <- o
	}()
	var o outcome
	seg := b.segment(0)
	for over := false; !over; {
		seg.Records = records(int(seg.Seq), 1)
		_, err := b.db.Apply(t.Context(), seg)
		require.NoError(t, err)
		seg.Seq++
		select {
		case o = <-purged:
			over = true
		default:
		}
	}
	require.NoError(t, o.err)
	require.GreaterOrEqual(t, o.portions, count/(portionRows+sliceRows))
	require.LessOrEqual(t, most.Load(), int64(portionRows+2*sliceRows), "rows in one transaction")
	for _, query := range []string{"SELECT id FROM streams WHERE run_id = 1000", "SELECT run_id FROM leaving_runs", "SELECT id FROM runs WHERE id = 1000"} {
		left, err := b.db.any(t.Context(), query)
		require.NoError(t, err)
		require.False(t, left, query)
	}
}

// rows: C43
//
// What waits for the writer goes before a chore that waits longer.
func TestWorkGoesBeforeChores(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{NoSync: true})
	const works = 30
	var (
		wg           sync.WaitGroup
		held, finish = make(chan struct{}), make(chan struct{})
		order        []string // the writer's alone
		errs         = make(chan error, works+2)
	)
	note := func(what string) func(context.Context, *tx) error {
		return func(context.Context, *tx) error {
			order = append(order, what)
			return nil
		}
	}
	wg.Go(func() {
		errs <- db.update(t.Context(), func(context.Context, *tx) error {
			close(held)
			<-finish
			return nil
		})
	})
	<-held
	waits := make(chan struct{})
	wg.Go(func() {
		close(waits)
		errs <- db.chore(t.Context(), note("chore"))
	})
	<-waits
	for range works {
		wg.Go(func() { errs <- db.update(t.Context(), note("work")) })
	}
	require.Eventually(t, func() bool { return len(db.write.queue) == works }, time.Minute, time.Millisecond)
	close(finish)
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Len(t, order, works+1)
	require.Equal(t, "chore", order[works])
}

// A store that is never idle does its chores too, one in so many groups.
func TestChoresAreNotStarved(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{NoSync: true})
	busy, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for busy.Err() == nil {
				if err := db.update(context.WithoutCancel(busy), func(context.Context, *tx) error { return nil }); err != nil {
					return
				}
			}
		})
	}
	for range 5 {
		require.NoError(t, db.chore(t.Context(), func(context.Context, *tx) error { return nil }))
	}
	stop()
	wg.Wait()
}
