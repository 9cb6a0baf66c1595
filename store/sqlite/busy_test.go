package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/jackfield/jackfield/store"
)

// begins are the functions that may begin a transaction, and what they say.
func begins() map[string]string {
	return map[string]string{
		"(*writer).begin": "BEGIN IMMEDIATE", // twice: on the connection that is there, and on a new one
		"migrateOne":      "BeginTx nil",     // immediate by the DSN, see below
		"examine":         "BeginTx ReadOnly",
	}
}

// rows: F11
//
// A transaction that reads first and writes later fails at once when somebody wrote
// in between, whatever the patience of its connection. No code begins one: the
// writer says IMMEDIATE, as does every connection that may write, and who else
// begins one only reads.
func TestNoTransactionThatWritesIsDeferred(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			where := name
			if f, ok := d.(*ast.FuncDecl); ok {
				where = functionName(f)
			}
			for _, what := range begun(d) {
				require.Contains(t, begins(), where, "%s: %s begins a transaction: %s", name, where, what)
				require.Equal(t, begins()[where], what, "%s: %s", name, where)
				found[where] = what
			}
		}
	}
	require.Equal(t, begins(), found)
}

// functionName names a function with its receiver.
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	if star, ok := f.Recv.List[0].Type.(*ast.StarExpr); ok {
		if of, ok := star.X.(*ast.Ident); ok {
			return "(*" + of.Name + ")." + f.Name.Name
		}
	}
	return f.Name.Name
}

// begun returns how a piece of code begins transactions.
func begun(in ast.Node) (out []string) {
	verb := regexp.MustCompile(`(?is)^\s*(BEGIN( (DEFERRED|IMMEDIATE|EXCLUSIVE))?( TRANSACTION)?|SAVEPOINT .*)\s*;?\s*$`)
	ast.Inspect(in, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(n.Value)
			if n.Kind == token.STRING && err == nil {
				if verb.MatchString(text) {
					out = append(out, text)
				}
			}
		case *ast.CallExpr:
			call, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || call.Sel.Name != "BeginTx" && (call.Sel.Name != "Begin" || len(n.Args) > 0) {
				return true
			}
			kind := call.Sel.Name + " nil"
			ast.Inspect(n, func(n ast.Node) bool {
				if kv, ok := n.(*ast.KeyValueExpr); ok {
					if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "ReadOnly" {
						kind = call.Sel.Name + " ReadOnly"
					}
				}
				return true
			})
			out = append(out, kind)
		}
		return true
	})
	return out
}

// rows: F11
//
// Each connection that may write begins with the lock: a second writer waits at the
// beginning, not at the first write. Those for reading can write nothing.
func TestConnectionsBeginWithTheLock(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{})
	require.NoError(t, db.Close())
	file := filepath.Join(db.Path(), databaseName)
	first, err := sql.Open("sqlite", writerDSN(file, Options{}))
	require.NoError(t, err)
	defer func() { require.NoError(t, first.Close()) }()
	held, err := first.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	for name, dsn := range map[string]string{"writer": writerDSN(file, Options{}), "checkpointer": checkpointDSN(file, Options{})} {
		other, err := sql.Open("sqlite", strings.ReplaceAll(dsn, "busy_timeout%285000%29", "busy_timeout%280%29"))
		require.NoError(t, err)
		_, err = other.BeginTx(t.Context(), nil)
		require.True(t, isBusy(err), "%s: %v", name, err)
		require.NoError(t, other.Close())
	}
	require.NoError(t, held.Rollback())
	for name, dsn := range map[string]string{"reader": readerDSN(file), "copier": copierDSN(file)} {
		other, err := sql.Open("sqlite", dsn)
		require.NoError(t, err)
		_, err = other.ExecContext(t.Context(), "UPDATE meta SET value = value + 1")
		require.ErrorContains(t, err, "readonly", name)
		require.NoError(t, other.Close())
	}
}

func isBusy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// rows: F11
//
// The writer never finds the database busy: not while it is read without a pause,
// the log is written back again and again, copies are made and it is looked
// through.
func TestTheWriterIsNeverBusy(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{frames: 8}, 4)
	ctx, cancel := context.WithCancel(t.Context())
	failures := make(chan error, 3)
	var others sync.WaitGroup
	beside := func(do func(n int) error) *int {
		n := new(int)
		others.Go(func() {
			for ctx.Err() == nil {
				if err := do(*n); err != nil {
					if ctx.Err() == nil {
						failures <- err
					}
					return
				}
				*n++
			}
		})
		return n
	}
	dir := t.TempDir()
	reads := beside(func(int) error {
		_, err := b.db.Records(ctx, store.RecordFilter{Limit: 1000})
		return err
	})
	copies := beside(func(n int) error {
		_, err := b.db.Backup(ctx, filepath.Join(dir, strconv.Itoa(n)))
		return err
	})
	exams := beside(func(int) error {
		_, err := b.db.Examine(ctx, true)
		return err
	})
	seg := b.segment(0)
	begin := time.Now()
	written := 0
	for time.Since(begin) < 2*time.Second || written < 100 {
		seg.Records = records(written*10, 10)
		_, err := b.db.Apply(t.Context(), seg)
		require.False(t, isBusy(err))
		require.NoError(t, err)
		seg.Seq++
		written++
	}
	cancel()
	others.Wait()
	close(failures)
	require.NoError(t, <-failures)
	require.Positive(t, *reads)
	require.Positive(t, *copies)
	require.Positive(t, *exams)
	require.NoError(t, b.db.Err())
	st, err := b.db.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(written*10), st.Records)
}
