package plugin

import "time"

// Bounds of the wire.
const (
	maxManifest    = 256 << 10
	maxLinkMessage = 1 << 20
	maxCacheValue  = 64 << 10
	maxLogMessage  = 8 << 10
	maxLogFields   = 32
	maxHeaders     = 128 << 10 // of a call's answer: an error with all that it may have

	streamWindow = 256 << 10
	// connWindow lets 64 streams fill their windows before one can block another.
	connWindow = 64 * streamWindow

	describeTimeout = 2 * time.Second
	healthTimeout   = 2 * time.Second
	closeTimeout    = 2 * time.Second
	linkWait        = 5 * time.Second
	overtimeAfter   = 2 * time.Second

	// Asks of the host at once (K19). A commit stands outside, one per call: those
	// that wait for a refresh must not keep out the one that ends it.
	asksPerProcess = 32
	asksPerCall    = 4
)
