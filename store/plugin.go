package store

import (
	"slices"
	"time"
)

// PluginMachine names what a PluginState belongs to.
type PluginMachine string

// The machines.
const (
	MachineArtifact PluginMachine = "artifact" // a program, by its digest
	MachinePlugin   PluginMachine = "plugin"   // what serves under a name
	MachineProcess  PluginMachine = "process"
)

// PluginState is where a program, a plugin or a process is. What none was told of
// yet is in the empty state.
type PluginState string

// The states of a program.
const (
	ArtifactSeen        PluginState = "seen"        // it is in the plugin directory
	ArtifactSettling    PluginState = "settling"    // it may still be written
	ArtifactVerified    PluginState = "verified"    // its digest is approved
	ArtifactStaged      PluginState = "staged"      // a verified copy is in the host's own store
	ArtifactProbed      PluginState = "probed"      // it started and said what it is
	ArtifactReady       PluginState = "ready"       // it serves, or may again
	ArtifactRejected    PluginState = "rejected"    // it cannot run, or may not take over
	ArtifactUnapproved  PluginState = "unapproved"  // nobody approved it
	ArtifactQuarantined PluginState = "quarantined" // it failed again and again: it rests, and is tried once at a time
	ArtifactWithdrawn   PluginState = "withdrawn"   // it failed in its probation: nothing starts it before a person does
)

// The states of a plugin.
const (
	PluginNone       PluginState = ""            // nothing serves under the name
	PluginActive     PluginState = "active"      // one program serves
	PluginUpgrading  PluginState = "upgrading"   // it serves, and another one is tried beside it
	PluginDraining   PluginState = "draining"    // the new one serves, calls of the old one end
	PluginRolledBack PluginState = "rolled_back" // the one before serves again
	PluginGone       PluginState = "gone"        // it was taken away
)

// The states of a process.
const (
	ProcessStarting  PluginState = "starting"
	ProcessHandshake PluginState = "handshake" // it runs, and said how to reach it
	ProcessDescribe  PluginState = "describe"  // it says what it is
	ProcessInstances PluginState = "instances" // settings are tried on it
	ProcessServing   PluginState = "serving"
	ProcessDegraded  PluginState = "degraded" // it missed a health check
	ProcessIdle      PluginState = "idle"     // nothing called it for long: it is stopped, and the next call starts another one
	ProcessDraining  PluginState = "draining" // it takes no new work
	ProcessStopping  PluginState = "stopping" // it is asked to end
	ProcessExited    PluginState = "exited"
	ProcessBackoff   PluginState = "backoff" // it ended, and another one is started later
)

// PluginTransitions returns the legal moves of a machine. The tests of what moves
// them are checked against this table.
func PluginTransitions(m PluginMachine) map[PluginState][]PluginState {
	switch m {
	case MachineArtifact:
		return artifactTransitions()
	case MachinePlugin:
		return map[PluginState][]PluginState{
			PluginNone:       {PluginActive},
			PluginActive:     {PluginActive, PluginUpgrading, PluginRolledBack, PluginGone}, // to itself: another program after nothing served
			PluginUpgrading:  {PluginActive, PluginDraining, PluginRolledBack, PluginGone},
			PluginDraining:   {PluginActive, PluginUpgrading, PluginRolledBack, PluginGone},
			PluginRolledBack: {PluginActive, PluginUpgrading, PluginGone},
			PluginGone:       {PluginActive},
		}
	case MachineProcess:
		return map[PluginState][]PluginState{
			"":               {ProcessStarting},
			ProcessStarting:  {ProcessHandshake, ProcessExited},
			ProcessHandshake: {ProcessDescribe, ProcessExited},
			ProcessDescribe:  {ProcessInstances, ProcessServing, ProcessStopping, ProcessExited},
			ProcessInstances: {ProcessServing, ProcessStopping, ProcessExited},
			ProcessServing:   {ProcessDegraded, ProcessIdle, ProcessDraining, ProcessStopping, ProcessExited},
			ProcessDegraded:  {ProcessServing, ProcessIdle, ProcessDraining, ProcessStopping, ProcessExited},
			ProcessIdle:      {ProcessStopping, ProcessExited},
			ProcessDraining:  {ProcessStopping, ProcessExited},
			ProcessStopping:  {ProcessExited},
			ProcessExited:    {ProcessBackoff},
			ProcessBackoff:   {},
		}
	default:
		return nil
	}
}

func artifactTransitions() map[PluginState][]PluginState {
	judged := []PluginState{ArtifactSettling, ArtifactVerified, ArtifactRejected, ArtifactUnapproved}
	return map[PluginState][]PluginState{
		"":                  {ArtifactSeen},
		ArtifactSeen:        judged,
		ArtifactSettling:    {ArtifactVerified, ArtifactRejected, ArtifactUnapproved},
		ArtifactUnapproved:  {ArtifactSettling, ArtifactVerified, ArtifactRejected},
		ArtifactVerified:    {ArtifactStaged, ArtifactRejected, ArtifactUnapproved},
		ArtifactStaged:      {ArtifactProbed, ArtifactRejected, ArtifactUnapproved, ArtifactQuarantined, ArtifactWithdrawn},
		ArtifactProbed:      {ArtifactReady, ArtifactRejected, ArtifactUnapproved, ArtifactQuarantined, ArtifactWithdrawn},
		ArtifactReady:       {ArtifactRejected, ArtifactUnapproved, ArtifactQuarantined, ArtifactWithdrawn},
		ArtifactRejected:    {ArtifactSettling, ArtifactVerified, ArtifactStaged, ArtifactProbed, ArtifactUnapproved},
		ArtifactQuarantined: {ArtifactReady, ArtifactUnapproved, ArtifactWithdrawn},
		ArtifactWithdrawn:   {ArtifactReady, ArtifactUnapproved},
	}
}

// MayMove reports whether a machine may go from one state to another.
func (m PluginMachine) MayMove(from, to PluginState) bool {
	return slices.Contains(PluginTransitions(m)[from], to)
}

// PluginMove is one transition of a machine.
type PluginMove struct {
	At       time.Time
	Machine  PluginMachine
	Plugin   string
	Version  string
	Digest   string      // of the program: the one that serves, for MachinePlugin
	PID      int         // of a process
	From, To PluginState // To is empty if it goes nowhere, and Reason is what was noticed of it
	Reason   string      // a code, such as start_failed; may be empty
	Detail   string      // for people; may be empty

	// Of MachinePlugin: what takes over again, until when the new one is on
	// probation.
	Previous        string // digest
	PreviousVersion string
	Probation       time.Time
	// StateWrites is the version of opaque data that what serves writes from now on;
	// zero if its manifest says nothing of that.
	StateWrites int
}

// UnreadState is opaque data of a version that a program does not read.
type UnreadState struct {
	Version     int
	Integration string // tenant/name: one that holds it
	Connector   string
	Run         int64 // whose stream holds it; zero: a cursor does
}

// PluginArtifact is where a program is.
type PluginArtifact struct {
	Digest  string
	Plugin  string
	Version string
	State   PluginState
	Reason  string
	Detail  string
	Since   time.Time
}

// PluginService is what serves under a plugin's name.
type PluginService struct {
	Plugin          string
	Version         string
	Digest          string
	State           PluginState
	Previous        string // digest of the program that served before; empty if none did
	PreviousVersion string
	Probation       time.Time // until then a failure brings Previous back; zero if it is over
	Since           time.Time
}
