package sqlite

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackfield/jackfield/store"
)

// maxAhead is how far in the future a time may lie that is kept.
const maxAhead = 400 * 24 * time.Hour

// maxLease is the same for the end of a lease.
const maxLease = 24 * time.Hour

// scanner is a row of a result.
type scanner interface{ Scan(dest ...any) error }

// millis returns t as it is kept, NULL for the zero time.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// moment is a kept time that may be NULL.
type moment struct{ sql.NullInt64 }

// time returns the moment in UTC, and the zero time for NULL.
func (m moment) time() time.Time {
	if !m.Valid {
		return time.Time{}
	}
	return fromMillis(m.Int64)
}

// come reports whether the moment is there and not later than now.
func (m moment) come(now int64) bool { return m.Valid && m.Int64 <= now }

// sooner returns the earlier one of those of m and other that are there.
func (m moment) sooner(other moment) moment {
	if m.Valid && (!other.Valid || m.Int64 <= other.Int64) {
		return m
	}
	return other
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// text returns s, NULL if it is empty.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// blob returns b, NULL if it is nil.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// key returns id, NULL if it is zero.
func key(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// encode returns v as JSON text. The types that come here encode always.
func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(b), nil
}

// encodeList is encode for names: a nil list is an empty one.
func encodeList(names []string) (string, error) {
	if names == nil {
		return "[]", nil
	}
	return encode(names)
}

// encodeFailure returns f as it is kept, NULL for none.
func encodeFailure(f *store.Failure) (any, error) {
	if f == nil {
		return nil, nil //nolint:nilnil // NULL is the value
	}
	return encode(f)
}

func decodeFailure(s sql.NullString) (*store.Failure, error) {
	if !s.Valid {
		return nil, nil //nolint:nilnil // NULL is no failure
	}
	f := new(store.Failure)
	if err := json.Unmarshal([]byte(s.String), f); err != nil {
		return nil, fmt.Errorf("decode failure: %w", err)
	}
	return f, nil
}

// holes returns n placeholders for an IN list or a row of VALUES. They have no
// numbers because SQLite looks numbered ones up one by one, which makes binding a
// thousand of them quadratic.
func holes(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

func repeated(s string, n int) string { return strings.Repeat(s, max(n, 0)) }
