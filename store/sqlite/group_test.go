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

// rows: K15
//
// A group takes what waits behind its first until it holds 4 MiB, or is 20 ms old:
// whoever is in it waits for no more than that, and the next group begins.
func TestAGroupIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bytes int           // of one
		takes time.Duration // one
		want  []int64       // how many a group has
	}{
		"by its size":    {1 << 20, 0, []int64{4, 4, 2}},
		"by its time":    {1 << 10, 5 * time.Millisecond, []int64{4, 4, 2}},
		"by its members": {1 << 10, 0, []int64{10}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clock atomic.Int64
			db := openTemp(t, Options{NoSync: true, Now: func() time.Time { return time.UnixMilli(1e12).Add(time.Duration(clock.Load())) }})
			w := db.write
			var (
				groups []int64
				size   int64
			)
			commit := w.commit
			// The writer holds still in its first transaction until all of them wait, and
			// reads the field after that.
			held, release := make(chan struct{}), make(chan struct{})
			first := make(chan error, 1)
			go func() {
				first <- db.update(context.WithoutCancel(t.Context()), func(context.Context, *tx) error {
					w.commit = func(ctx context.Context) error {
						groups, size = append(groups, size), 0
						return commit(ctx)
					}
					close(held)
					<-release
					clock.Add(int64(time.Hour)) // nobody joins this one
					return nil
				})
			}()
			<-held
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					_ = db.submit(t.Context(), &op{bytes: c.bytes, done: make(chan error, 1), run: func(context.Context, *tx) error {
						size++
						clock.Add(int64(c.takes))
						return nil
					}})
				})
			}
			require.Eventually(t, func() bool { return len(w.queue) == 10 }, time.Minute, time.Millisecond)
			close(release)
			require.NoError(t, <-first)
			all.Wait()
			require.NoError(t, db.update(t.Context(), func(context.Context, *tx) error {
				w.commit = commit
				return nil
			}))
			require.Equal(t, append([]int64{0}, c.want...), groups)
		})
	}
}

// rows: K15
//
// What says something of the disk ends the whole group: it is rolled back, all are told
// the same, and nothing of it is tried again.
func TestAGroupThatTheDiskRefusesIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{store.ErrFull, store.ErrIO, store.ErrDamaged} {
		t.Run(refusal.Error(), func(t *testing.T) {
			t.Parallel()
			db := openTemp(t, Options{NoSync: true, Now: func() time.Time { return time.UnixMilli(1e12) }}) // no group gets old
			held, release := make(chan struct{}), make(chan struct{})
			var (
				all   sync.WaitGroup
				errs  [4]error
				tries [4]int
			)
			submit := func(n int, run func(t *tx) error) {
				all.Go(func() {
					errs[n] = db.submit(t.Context(), &op{done: make(chan error, 1), run: func(ctx context.Context, t *tx) error {
						tries[n]++
						if _, err := t.exec(ctx, "INSERT INTO meta (name, value) VALUES ($1, 1)", fmt.Sprint("of op ", n)); err != nil {
							return err
						}
						return run(t)
					}})
				})
			}
			// The writer holds still in the first until the others wait behind it.
			submit(0, func(*tx) error {
				if tries[0] == 1 {
					close(held)
				}
				<-release
				return nil
			})
			<-held
			for n := 1; n < 4; n++ {
				submit(n, func(*tx) error {
					if n != 1 {
						return nil
					}
					return fmt.Errorf("write: %w", refusal)
				})
				require.Eventually(t, func() bool { return len(db.write.queue) == n }, time.Minute, time.Millisecond)
			}
			close(release)
			all.Wait()
			require.Equal(t, [4]int{1, 1, 1, 1}, tries)
			require.ErrorIs(t, errs[0], refusal, "it was in the same transaction")
			require.ErrorIs(t, errs[1], refusal)
			require.NoError(t, errs[2], "the next group is tried")
			require.NoError(t, errs[3])
			var there int
			require.NoError(t, db.get(t.Context(), "SELECT count(*) FROM meta WHERE name LIKE 'of op %'", nil, func(s scanner) error { return s.Scan(&there) }))
			require.Equal(t, 2, there, "nothing of the first group is left")
		})
	}
}
