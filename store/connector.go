package store

import "time"

// ConnectorCode says how a connector's part of a run ended.
type ConnectorCode string

// The ends of a connector's part of a run.
const (
	ConnectorCompleted ConnectorCode = "completed" // each of its streams is processed
	ConnectorPartial   ConnectorCode = "partial"   // some are
	ConnectorFailed    ConnectorCode = "failed"    // none is
	ConnectorSkipped   ConnectorCode = "skipped"   // it said so itself, or a person did
	ConnectorCancelled ConnectorCode = "cancelled" // with its run
)

// ConnectorStatus is a connector's part of a run. It lives as long as the run; the
// last one of an integration's connector that completed stays for ever.
type ConnectorStatus struct {
	ID            int64
	IntegrationID int64
	Tenant        string
	Integration   string // name
	RunID         int64
	Connector     string
	Code          ConnectorCode // empty while the run goes on
	Message       string        // why, if it is not completed
	StartedAt     time.Time     // when its first stream was claimed; zero if none was
	EndedAt       time.Time
	// Stats are the sums over its streams. What the run's own calls emit counts for
	// the run alone.
	Stats RunStats
	// Processed, Failed and Cancelled are its streams that are done.
	Processed, Failed, Cancelled int64
	Data                         []byte // JSON: watermark, if it moved
}

// ConnectorFilter selects statuses, the newest first. Zero fields select all.
type ConnectorFilter struct {
	Tenant        string
	IntegrationID int64
	RunID         int64 // with those of a run that goes on
	Connector     string
	Code          ConnectorCode
	Since, Until  time.Time // ended at or after, and before
	Limit         int       // 100 if zero
	Before        int64     // id
}
