package store

import "time"

// Circuit is the way of an integration to a remote system. It is open after too
// many failures in a row: the streams whose limit keys use it wait, until one of
// them goes ahead as a probe.
type Circuit struct {
	Host     string
	OpenedAt time.Time
	Until    time.Time // when the next probe goes ahead
	Opens    int       // probes that failed, and one
	Message  string    // of the last failure
	// Probing says that a probe is under way, if the circuit was read.
	Probing bool
}

// CircuitMove is what a segment says of a circuit.
type CircuitMove int

// The moves of a circuit.
const (
	CircuitOpen  CircuitMove = iota + 1 // as given, for all keys that use it
	CircuitJoin                         // the stream's key uses it too; open or not, it stays as it is
	CircuitClose                        // its streams go on
)

// CircuitChange is a move of a circuit with what it becomes.
type CircuitChange struct {
	Move CircuitMove
	Circuit
}

// ProbeTime is how long a probe may take before another one goes ahead.
const ProbeTime = 15 * time.Minute
