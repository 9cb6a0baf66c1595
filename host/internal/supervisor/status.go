package supervisor

import "time"

// State is what a plugin's process is doing.
type State string

// The states.
const (
	StateStarting State = "starting" // not able to take work yet
	StateServing  State = "serving"
	StateBackoff  State = "backoff"  // it ended or did not start, and is started again at RestartAt
	StateDraining State = "draining" // replaced or removed; its calls may end
	StateIdle     State = "idle"     // nothing called it for long: the next call starts it
	StateStopped  State = "stopped"
	StateRefused  State = "refused" // a candidate that did not take over; another one serves

	// StateQuarantined is of a plugin that failed again and again, and is tried once at
	// RestartAt, or of a candidate that failed in its probation, and is not tried.
	StateQuarantined State = "quarantined"
)

// Status is one plugin, or one process of it that drains.
type Status struct {
	Name      string
	Version   string
	Digest    string
	State     State
	PID       int       // zero without a process
	StartedAt time.Time // of the process
	RestartAt time.Time // in StateBackoff and StateQuarantined
	Restarts  int       // after crashes, since the plugin was loaded
	LastError string    // why it ended or did not start last; may be set while an older version serves
	LastLines []string  // what it wrote to stderr before that
	InFlight  int       // calls
	Instances int       // open ones
}
