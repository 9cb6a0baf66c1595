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

	// StateQuarantined is of a plugin that failed again and again: it rests, and is
	// tried once at RestartAt.
	StateQuarantined State = "quarantined"
	// StateWithdrawn is of a version that failed in its probation: the one before serves,
	// and nothing but a person starts it again.
	StateWithdrawn State = "withdrawn"
)

// Status is one plugin, the process that a tenant of it has, or one that drains.
type Status struct {
	Name      string
	Tenant    string // whose process it is; empty if it is everybody's, and of the plugin itself
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

	// Of a plugin whose tenants have a process each: how many there are, and how many
	// tenants wait until there may be one of theirs. Restarts, InFlight and Instances
	// are then of all of them.
	Processes, Waiting int
}

// summary describes the plugin, and after it the process of each of its tenants.
func (a *actor) summary() []Status {
	if a.branches == nil {
		return []Status{a.status()}
	}
	all := []Status{a.status()}
	for _, b := range a.branches.all() {
		st := b.status()
		if st.PID == 0 && st.LastError == "" {
			continue // it is about to be forgotten, or has no place yet
		}
		if st.State == StateServing && all[0].State == StateIdle {
			all[0].State = StateServing
		}
		all[0].InFlight += st.InFlight
		all[0].Instances += st.Instances
		all = append(all, st)
	}
	all[0].Processes, all[0].Waiting = a.branches.places.count()
	return all
}

// status describes the plugin as it is now.
func (a *actor) status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	st := Status{
		Name: a.name, Tenant: a.binary.Tenant, Version: a.binary.Version, Digest: a.binary.Digest, State: a.state,
		RestartAt: a.restartAt, Restarts: a.restarts, LastError: a.lastError, LastLines: a.lastLines,
	}
	if a.current != nil {
		a.current.describe(&st)
	} else if st.Version == "" && a.known {
		st.Version = a.manifest.Version
	}
	return st
}

func (p *process) describe(st *Status) {
	st.Version, st.Digest = p.manifest.Version, p.binary.Digest
	st.PID, st.StartedAt = p.x.pid(), p.startedAt
	st.InFlight, st.Instances = p.instances.count()
}
