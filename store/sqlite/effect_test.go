package sqlite

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// state is what a segment with a record, a cursor and an end leaves.
type state struct {
	records, events int
	cursor          string // none: empty
	seq             int64
}

func (b *bench) state(t *testing.T) (s state) {
	t.Helper()
	into := func(query string, dest ...any) {
		require.NoError(t, b.db.list(t.Context(), query, nil, func(row scanner) error { return row.Scan(dest...) }), query)
	}
	into("SELECT count(*) FROM records", &s.records)
	into("SELECT count(*) FROM events WHERE run_id IS NOT NULL", &s.events)
	into("SELECT coalesce(max(CAST(cursor AS TEXT)), '') FROM cursors", &s.cursor)
	into("SELECT max(seq) FROM streams WHERE type = 'root'", &s.seq)
	return s
}

// newOwned returns a bench whose stream owns a partition.
func newOwned(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, Options{NoSync: true}, 1)
	require.NoError(t, b.exec(t, "UPDATE streams SET partition = 'p' WHERE id = $1", b.streams[0].ID))
	return b
}

// last returns a segment that ends the stream and with it the run.
func (b *bench) last() store.Segment {
	seg := b.segment(0)
	seg.Records, seg.Cursor = records(0, 3), []byte("behind 3")
	seg.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true}
	return seg
}

// rows: I02, K02
//
// A cursor and the records that it says were read are one transaction: whatever
// fails on the way, there are both or there is neither.
func TestACursorMovesOnlyWithItsRecords(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]string{
		"TheCursorIsRefused":    "CREATE TRIGGER refuse BEFORE INSERT ON cursors BEGIN SELECT RAISE(ABORT, 'refused'); END",
		"ARecordIsRefused":      "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN new.external_id LIKE '%2' BEGIN SELECT RAISE(ABORT, 'refused'); END",
		"TheStreamIsRefused":    "CREATE TRIGGER refuse BEFORE UPDATE ON streams BEGIN SELECT RAISE(ABORT, 'refused'); END",
		"TheEndIsRefused":       "CREATE TRIGGER refuse BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'refused'); END",
		"TheCountersAreRefused": "CREATE TRIGGER refuse BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'refused'); END",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newOwned(t)
			before := b.state(t)
			require.NoError(t, b.exec(t, refuse))
			_, err := b.db.Apply(t.Context(), b.last())
			require.ErrorContains(t, err, "refused")
			require.Equal(t, before, b.state(t))
			require.NoError(t, b.exec(t, "DROP TRIGGER refuse"))
			_, err = b.db.Apply(t.Context(), b.last())
			require.NoError(t, err)
			require.Equal(t, state{records: 3, events: before.events + 2, cursor: "behind 3", seq: before.seq + 1}, b.state(t))
		})
	}
}

// rows: I02, K03
//
// No other code writes where a partition has got to, than the segment of the stream
// that owns it, the end of a forced run, which put it aside until then, and the return
// of a plugin's version before, which brings a copy of it back.
func TestCursorsAreWrittenInOnePlace(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	writes := regexp.MustCompile(`(?s)(INTO|UPDATE) cursors\b(.*)`)
	moves := regexp.MustCompile(`\bcursor(, | = )`)
	found := map[string]int{}
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
			ast.Inspect(d, func(n ast.Node) bool {
				text, ok := n.(*ast.BasicLit)
				if !ok || text.Kind != token.STRING {
					return true
				}
				if m := writes.FindStringSubmatch(text.Value); m != nil && moves.MatchString(m[2]) {
					found[where]++
				}
				return true
			})
		}
	}
	require.Equal(t, map[string]int{"setCursor": 1, "(*run).promoteCursors": 1, "restoreIntegration": 1}, found)
}

// rows: I02, I08, K02, C55
//
// What goes out is written with the segment that causes it, and is known by it. A
// segment that comes again, since nobody heard the answer, writes none of it twice:
// neither to the same host nor to the next one.
func TestAnEffectIsWrittenOnceHoweverOftenItsSegmentComes(t *testing.T) {
	t.Parallel()
	b := newOwned(t)
	before := b.state(t)
	seg := b.last()
	_, err := b.db.Apply(t.Context(), seg)
	require.NoError(t, err)
	after := b.state(t)
	require.Equal(t, before.events+2, after.events, "the end of the run, and that people are to know of it")
	effects := func() []store.Event {
		all, err := b.db.Events(t.Context(), 0, 1000)
		require.NoError(t, err)
		return all
	}
	sent := effects()
	for range 3 {
		_, err := b.db.Apply(t.Context(), seg)
		require.ErrorIs(t, err, store.ErrStale)
		require.Equal(t, after, b.state(t))
		require.Equal(t, sent, effects(), "under the same ids")
	}
	require.NoError(t, b.db.Close())
	b.db = openTemp(t, Options{Path: b.db.Path(), NoSync: true})
	_, err = b.db.Apply(t.Context(), seg)
	require.ErrorIs(t, err, store.ErrStale)
	require.Equal(t, after, b.state(t))
	require.Equal(t, sent, effects())

	// What comes later is known by an id of its own, also if all before is gone.
	require.NoError(t, b.exec(t, "DELETE FROM events"))
	_, _, err = b.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: b.run.IntegrationID, Kind: store.RunCheck})
	require.NoError(t, err)
	_, err = b.db.CancelRun(t.Context(), b.run.ID+1, "enough")
	require.NoError(t, err)
	later := effects()
	require.Len(t, later, 1)
	require.Greater(t, later[0].ID, sent[len(sent)-1].ID, "no id is given twice")
}
