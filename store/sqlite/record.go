package sqlite

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/zeebo/xxh3"

	"github.com/jackfield/jackfield/store"
)

// recordColumns is how many values a row of records takes, in the order of
// upsertQuery.
const recordColumns = 12

// The columns that are known only when the row is written.
const (
	columnID = iota
	columnIntegration
	columnPosition
)

// rowSet is the records of a segment as they are written, in the order of their
// keys, the last of each.
type rowSet struct {
	n       int
	args    []any // recordColumns each
	deletes bool
	stale   int64 // repeated within the segment
}

// prepareRecords checks and hashes the records of a segment. It runs in the
// caller's goroutine, so that the writer has only to write.
func prepareRecords(records []store.Record) (rowSet, error) {
	if len(records) == 0 {
		return rowSet{}, nil
	}
	order, err := orderRecords(records)
	if err != nil {
		return rowSet{}, err
	}
	set := rowSet{
		n:     len(order),
		args:  make([]any, len(order)*recordColumns),
		stale: int64(len(records) - len(order)),
	}
	hashes := make([]byte, 16*len(order))
	var (
		frame []byte
		kind  any // of the row before: one value for all that share it
	)
	for i, at := range order {
		r := &records[at]
		frame = frameRecord(frame[:0], r)
		sum := xxh3.Hash128(frame).Bytes()
		hash := hashes[16*i : 16*i+16 : 16*i+16]
		copy(hash, sum[:])
		set.deletes = set.deletes || r.Deleted
		row := set.args[i*recordColumns : (i+1)*recordColumns]
		if kind != r.Kind {
			kind = r.Kind
		}
		row[3], row[4] = kind, r.ExternalID
		row[5], row[6] = text(r.ParentKind), text(r.ParentID)
		row[7] = blob(r.Version)
		row[8] = millis(r.OccurredAt)
		row[9] = flag(r.Deleted)
		row[10] = hash
		if !r.Deleted {
			// Bound as text: the JSON functions of SQLite take a BLOB for another
			// format. The caller does not touch the bytes until Apply is back.
			row[11] = unsafe.String(unsafe.SliceData(r.Data), len(r.Data)) //nolint:gosec // as said
		}
	}
	return set, nil
}

// orderRecords returns the indices of the records to write, sorted by key. Of
// those with one key it is the one that would be left if they were written one
// after the other.
func orderRecords(records []store.Record) ([]int32, error) {
	order := make([]int32, len(records))
	for i := range records {
		if err := checkRecord(&records[i]); err != nil {
			return nil, err
		}
		order[i] = int32(i)
	}
	byKey := func(a, b int32) int {
		x, y := &records[a], &records[b]
		return cmp.Or(strings.Compare(x.Kind, y.Kind), strings.Compare(x.ExternalID, y.ExternalID))
	}
	slices.SortStableFunc(order, byKey)
	kept := order[:1]
	for _, at := range order[1:] {
		last := &kept[len(kept)-1]
		if byKey(*last, at) != 0 {
			kept = append(kept, at)
			continue
		}
		if !older(&records[at], &records[*last]) {
			*last = at
		}
	}
	return kept, nil
}

// older reports whether the version of r is before that of s (K04).
func older(r, s *store.Record) bool {
	return r.Version != nil && s.Version != nil && string(r.Version) < string(s.Version)
}

// checkRecord refuses what the database or its readers could not take.
func checkRecord(r *store.Record) error {
	switch {
	case len(r.Kind) > store.MaxKindBytes || len(r.ParentKind) > store.MaxKindBytes:
		return fmt.Errorf("record %.80q: kind over %d bytes: %w", r.ExternalID, store.MaxKindBytes, store.ErrLimit)
	case len(r.ExternalID) > store.MaxExternalIDBytes || len(r.ParentID) > store.MaxExternalIDBytes:
		return fmt.Errorf("record %.80q: id over %d bytes: %w", r.ExternalID, store.MaxExternalIDBytes, store.ErrLimit)
	case len(r.Version) > store.MaxVersionBytes:
		return fmt.Errorf("record %q: version over %d bytes: %w", r.ExternalID, store.MaxVersionBytes, store.ErrLimit)
	case len(r.Data) > store.MaxRecordBytes:
		return fmt.Errorf("record %q: %d bytes of data, over %d: %w", r.ExternalID, len(r.Data), store.MaxRecordBytes, store.ErrLimit)
	case r.Kind == "" || !clean(r.Kind) || !clean(r.ParentKind):
		return fmt.Errorf("record %q: kind %q: %w", r.ExternalID, r.Kind, invalid())
	case r.ExternalID == "" || !clean(r.ExternalID) || !clean(r.ParentID):
		return fmt.Errorf("record %q of kind %s, child of %q: empty or unprintable id: %w", r.ExternalID, r.Kind, r.ParentID, invalid())
	case !r.Deleted && len(r.Data) == 0:
		return fmt.Errorf("record %q: no data: %w", r.ExternalID, invalid())
	case !utf8.Valid(r.Data):
		return fmt.Errorf("record %q: data is not UTF-8: %w", r.ExternalID, invalid())
	default:
		return nil
	}
}

// invalid is the error of a result that would be refused by whoever applies it.
func invalid() error { return fmt.Errorf("%w: %w", store.ErrRejected, store.ErrInvalid) }

// clean reports whether s is valid text without control characters.
func clean(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= utf8.RuneSelf || s[i] == 0x7f {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
		}
	}
	return true
}

// frameRecord appends what the hash of a record covers (K05), each part with its
// length, so that no two records have the same frame.
func frameRecord(b []byte, r *store.Record) []byte {
	b = frameText(b, r.Kind)
	b = frameText(b, r.ParentKind)
	b = frameText(b, r.ParentID)
	b = frameFlag(b, r.Version != nil)
	b = frameFlag(b, r.Deleted)
	b = frameFlag(b, !r.OccurredAt.IsZero())
	b = frameText(b, string(r.Version))
	if !r.OccurredAt.IsZero() {
		b = binary.LittleEndian.AppendUint64(b, uint64(r.OccurredAt.UnixMilli()))
	}
	if !r.Deleted {
		b = append(b, r.Data...)
	}
	return b
}

func frameFlag(b []byte, f bool) []byte {
	if f {
		return append(b, 1)
	}
	return append(b, 0)
}

func frameText(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // checked before
	return append(b, s...)
}

// upsertSizes are the numbers of rows for which a statement is kept, the largest
// first.
func upsertSizes() [6]int { return [6]int{100, 40, 16, 6, 2, 1} }

// upsertQuery writes n rows. A row with the hash that is stored changes nothing. A
// row with an older version changes nothing either but is counted as changed,
// which tells it from an unchanged one: its page is not written, because it is
// rewritten as it is.
func upsertQuery(n int) string {
	row := "(" + holes(recordColumns) + ")"
	var set strings.Builder
	for i, c := range []string{"parent_kind", "parent_id", "occurred_at", "deleted", "hash", "pos", "data", "version"} {
		if i > 0 {
			set.WriteString(", ")
		}
		fmt.Fprintf(&set, "%[1]s = CASE WHEN %[2]s THEN records.%[1]s ELSE excluded.%[1]s END", c,
			"excluded.version < records.version")
	}
	// An activity keeps the time that was told first: systems that know none give
	// the time at which they are asked (C15). The hash is of what is told now.
	set.WriteString(`, first_at = CASE
		WHEN excluded.version < records.version THEN records.first_at
		WHEN records.kind = 'activity' AND records.deleted = 0 AND excluded.deleted = 0 THEN coalesce(records.first_at, records.occurred_at)
		END`)
	return `
		INSERT INTO records (id, integration_id, pos, kind, external_id, parent_kind, parent_id, version, occurred_at, deleted, hash, data)
		VALUES ` + strings.TrimSuffix(strings.Repeat(row+",", n), ",") + `
		ON CONFLICT (integration_id, kind, external_id) DO UPDATE
		SET   ` + set.String() + `
		WHERE records.hash IS DISTINCT FROM excluded.hash`
}

// upserts are the statements of upsertSizes.
type upserts map[int]string

// write writes the rows as positions from first on and returns what became of
// them.
func (s *rowSet) write(ctx context.Context, t *tx, integrationID int64) (st store.RunStats, err error) {
	st.Read = int64(s.n) + s.stale
	st.Stale = s.stale
	if s.n == 0 {
		return st, nil
	}
	first, err := t.positions(ctx, s.n)
	if err != nil {
		return st, err
	}
	var integration any = integrationID
	for i := range s.n {
		var pos any = first + int64(i)
		row := s.args[i*recordColumns:]
		row[columnID], row[columnIntegration], row[columnPosition] = pos, integration, pos
	}
	if t.upserts == nil {
		t.upserts = make(upserts)
	}
	var touched int64
	rest := s.args
	for _, size := range upsertSizes() {
		for len(rest) >= size*recordColumns {
			query, ok := t.upserts[size]
			if !ok {
				query = upsertQuery(size)
				t.upserts[size] = query
			}
			n, err := t.exec(ctx, query, rest[:size*recordColumns]...)
			if err != nil {
				return st, fmt.Errorf("write records: %w", err)
			}
			touched += n
			rest = rest[size*recordColumns:]
		}
	}
	st.Unchanged = int64(s.n) - touched
	if touched == 0 {
		t.pos = first - 1 // none of the positions was used
		return st, nil
	}
	err = s.count(ctx, t, integrationID, first, touched, &st)
	return st, err
}

// count tells what was added, updated and deleted: a record whose position is the
// one it was born at is new. What was touched and has no new position was older
// than what is stored.
func (s *rowSet) count(ctx context.Context, t *tx, integrationID, first, touched int64, st *store.RunStats) error {
	query := countQuery
	if s.deletes {
		query = countDeletesQuery
	}
	var changed int64
	err := t.get(ctx, query, []any{integrationID, first, first + int64(s.n) - 1}, &changed, &st.Added, &st.Deleted)
	if err != nil {
		return fmt.Errorf("count records: %w", err)
	}
	st.Updated = changed - st.Added - st.Deleted
	st.Stale += touched - changed
	return nil
}

// countQuery has all it needs in the index of the feed; countDeletesQuery looks at
// the rows.
const (
	countQuery = `
	SELECT count(*), coalesce(sum(CASE WHEN id = pos THEN 1 ELSE 0 END), 0), 0
	FROM   records
	WHERE  integration_id = $1 AND pos BETWEEN $2 AND $3`
	countDeletesQuery = `
	SELECT count(*), coalesce(sum(CASE WHEN id = pos AND deleted = 0 THEN 1 ELSE 0 END), 0), coalesce(sum(deleted), 0)
	FROM   records
	WHERE  integration_id = $1 AND pos BETWEEN $2 AND $3`
)
