package store

import "time"

// Record is an entity kept in the store, known by (integration, kind, external
// id). Data is JSON in canonical form that nobody here decodes.
type Record struct {
	IntegrationID int64 // stamped by the driver from the segment's run when applied
	Kind          string
	ExternalID    string
	ParentKind    string
	ParentID      string
	Version       []byte // sorts by bytes; nil if the remote has none
	OccurredAt    time.Time
	Deleted       bool
	Data          []byte // when read: with the overlay over it

	// Set when read.
	Position int64 // of its last change in the feed
	Born     int64 // position of its first
}

// RecordKey is what a record is known by.
type RecordKey struct {
	IntegrationID int64
	Kind          string
	ExternalID    string
}

// ParentKey returns the key of the parent, of the same integration.
func (r *Record) ParentKey() RecordKey {
	return RecordKey{r.IntegrationID, r.ParentKind, r.ParentID}
}

// RecordFilter selects records by position. Zero fields select all.
type RecordFilter struct {
	Tenant        string
	IntegrationID int64
	Kind          string
	ExternalID    string
	Deleted       bool  // with the deleted ones
	After         int64 // position; 0 reads anew
	// Since is the feed's newest position when the reading began anew: FeedPage
	// tells it. Deletions up to it are of no interest to this reader.
	Since int64
	Limit int // 100 if zero
}

// StoredRecord is a record with the names that people know it by.
type StoredRecord struct {
	Record
	Tenant      string
	Integration string
	Change      RecordChange
}

// RecordChange says what a change in the feed did, seen from the position that is
// read from. A record that was born behind it and changed again is added: this
// reader has not seen it. One that comes back after its deletion is updated.
type RecordChange string

// The changes of records.
const (
	RecordAdded   RecordChange = "ADDED"
	RecordUpdated RecordChange = "UPDATED"
	RecordDeleted RecordChange = "DELETED"
)

// FeedPage is a part of the feed.
type FeedPage struct {
	Records []StoredRecord
	// Through is where to go on: what the filter selects up to it was on this page
	// or on one before, unless it has changed again and comes later.
	Through int64
	// Since goes with it (RecordFilter).
	Since int64
}

// Caps on what a segment may carry (K24). Passing one is ErrLimit with its name.
const (
	MaxRecordBytes     = 1 << 20
	MaxSegmentBytes    = 4 << 20 // records, streams and opaque values together
	MaxExternalIDBytes = 512
	MaxKindBytes       = 64
	MaxVersionBytes    = 128
)
