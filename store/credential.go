package store

import "time"

// Credential is a rotating token, sealed.
type Credential struct {
	IntegrationID int64
	Name          string
	Version       int64
	Sealed        []byte
	ExpiresAt     time.Time
	UpdatedAt     time.Time
}

// CacheEntry is a value that a plugin asked to keep. Scope and owner are the
// host's; a plugin names the key alone.
type CacheEntry struct {
	Scope     string // integration:UID, tenant:NAME:PLUGIN or plugin:PLUGIN
	Key       string
	Value     []byte
	ExpiresAt time.Time
}

// Caps on the cache of plugins. A full scope drops the entry that would expire
// first.
const (
	MaxCacheEntries    = 1_000 // of a scope
	MaxCacheValueBytes = 256 << 10
)

// Caps on the buckets of plugins.
const (
	MaxBuckets       = 1_000               // of a scope, in use
	MaxBucketWindow  = 31 * 24 * time.Hour // of a bucket
	MaxTurnsAhead    = 48 * time.Hour      // a bucket whose next turn lies further ahead than this and its window is free: the clock has jumped
	MaxBucketKeySize = MaxExternalIDBytes
)

// Attribute is a member attribute that a plugin declared for a tenant.
type Attribute struct {
	Name  string
	Label string
	Type  string
}

// Event is something that happened once, written in the transaction that made
// it so.
type Event struct {
	ID            int64
	At            time.Time
	Kind          string // run.processed, run.partial, run.error, run.cancelled, integration.disabled, ...
	IntegrationID int64
	RunID         int64
	Data          []byte // JSON
}

// EventFilter selects events, the newest first. Zero fields select all.
type EventFilter struct {
	IntegrationID int64
	Kind          string // run.processed, or run for all that begin so
	Limit         int    // 100 if zero
	Before        int64  // id
}
