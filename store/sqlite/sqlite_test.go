package sqlite

import (
	flags "flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/store/storetest"
)

func TestMain(m *testing.M) {
	flags.Parse()
	// A run needs some steps to get to its end.
	for name, value := range map[string]string{"rapid.steps": "80", "rapid.checks": "50"} {
		if testing.Short() && name == "rapid.checks" {
			value = "10"
		}
		if f := flags.Lookup(name); f.Value.String() == f.DefValue {
			_ = f.Value.Set(value) // a number
		}
	}
	goleak.VerifyTestMain(m)
}

// rows: K23
func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, opts storetest.Options) storetest.Store {
		// The suite commits tens of thousands of times; what the fsync is for is tested apart.
		return openTemp(t, Options{Now: opts.Now, OnRevoke: opts.OnRevoke, NoSync: true})
	})
}

// openTemp opens a store in a directory that ends with the test.
func openTemp(tb testing.TB, opts Options) *DB {
	tb.Helper()
	if opts.Path == "" {
		opts.Path = tb.TempDir()
	}
	db, err := Open(tb.Context(), opts)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

var _ storetest.Store = (*DB)(nil)

// standing returns a clock that stands still.
func standing() func() time.Time {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return func() time.Time { return at }
}
