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
	Data          []byte

	// Set when read.
	Position int64 // of its last change in the feed
	Born     int64 // position of its first
}

// RecordFilter selects records by position. Zero fields select all.
type RecordFilter struct {
	Tenant        string
	IntegrationID int64
	Kind          string
	ExternalID    string
	Deleted       bool  // with the deleted ones
	After         int64 // position
	Limit         int   // 100 if zero
}

// StoredRecord is a record with the names that people know it by.
type StoredRecord struct {
	Record
	Tenant      string
	Integration string
}

// Caps on what a segment may carry (K24). Passing one is ErrLimit with its name.
const (
	MaxRecordBytes     = 1 << 20
	MaxSegmentBytes    = 4 << 20 // records, streams and opaque values together
	MaxExternalIDBytes = 512
	MaxKindBytes       = 64
	MaxVersionBytes    = 128
)
