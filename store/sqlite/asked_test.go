package sqlite

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K15
//
// What is read again and again is compiled once, for so many queries and no more, and
// whoever asks gets the same answer each time.
func TestWhatIsAskedAgainIsKeptPrepared(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{Readers: 2})
	ask := func(query string, n int64) error {
		var got int64
		err := db.get(t.Context(), query, []any{n}, func(s scanner) error { return s.Scan(&got) })
		if err == nil && got != n+1 {
			err = fmt.Errorf("%d + 1 is %d", n, got)
		}
		return err
	}
	const first = "SELECT $1 + 1"
	require.NoError(t, ask(first, 1))
	require.Contains(t, db.asked.stmts, first)
	require.Nil(t, db.asked.stmts[first], "who asks once is not kept")
	var (
		all  sync.WaitGroup
		errs = make(chan error, 40)
	)
	for n := range cap(errs) {
		all.Go(func() { errs <- ask(first, int64(n)) })
	}
	all.Wait()
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	stmt := db.asked.stmts[first]
	require.NotNil(t, stmt)
	for n := range int64(2 * askedMost) {
		for range 2 {
			require.NoError(t, ask(fmt.Sprintf("SELECT $1 + 1 -- %d", n), n))
		}
	}
	require.Len(t, db.asked.stmts, askedMost)
	require.Same(t, stmt, db.asked.stmts[first])
	require.Error(t, ask("SELECT nothing", 1))
	require.NoError(t, db.Close())
	require.ErrorIs(t, ask(first, 1), store.ErrClosed)
	_, err := stmt.QueryContext(t.Context(), 1) //nolint:sqlclosecheck,rowserrcheck // there are no rows
	require.ErrorContains(t, err, "closed")
}
