package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: F13
func TestADamagedDatabaseIsWrittenNoMore(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var (
		asked  int
		frozen error
		exam   store.Examination
		fail   = errors.New("no time")
	)
	e := &examination{
		examine: func(context.Context, bool) (store.Examination, error) { asked++; return exam, fail },
		freeze:  func(err error) { frozen = err }, command: func(line string) string { return "jackfield " + line },
		since: at, now: func() time.Time { return at }, log: hclog.NewNullLogger(),
	}
	do := e.task().Do
	look := func() error { _, err := do(t.Context()); return err }
	require.NoError(t, look())
	require.Zero(t, asked, "the first minute belongs to the work")
	at = at.Add(snapshotRest)
	require.ErrorIs(t, look(), fail)
	require.NoError(t, frozen, "nobody has looked")
	fail, exam.Checks = nil, []store.Check{{Name: "pages", Problems: []string{"page 7 is used twice"}}}
	require.ErrorIs(t, look(), store.ErrDamaged)
	require.ErrorContains(t, frozen, "page 7 is used twice")
	require.ErrorContains(t, frozen, "hint: stop the daemon, keep a copy of the data directory, and restore the newest good backup: jackfield db restore FILE")
	require.NoError(t, look())
	require.Equal(t, 2, asked, "once a start")
}
