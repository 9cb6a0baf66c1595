package sqlite

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
