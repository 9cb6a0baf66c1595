package sandbox

// Network says what a process may connect to.
type Network string

// The networks.
const (
	NetworkProxy  Network = "proxy"  // Unix sockets alone: the host's proxy is one, in the process's directory
	NetworkDirect Network = "direct" // whatever this machine connects to
)

// Policy is what one process may reach beside its own program and what every program
// needs: certificates, time zones, the names of hosts.
type Policy struct {
	Name    string   // of the process, as systems show it
	Dir     string   // its own: sockets and temporary files
	Own     string   // a folder of the host's that is its program too; may be empty
	Network Network  // NetworkDirect if empty
	Reads   []string // files and folders that it may read; those that do not exist are left out
	Hidden  []string // files and folders that it does not read, whatever folder above them it may
	Memory  uint64   // bytes; 0: no limit
	User    int      // whose rights it has, as user and as group; 0: those of this process
}

// Level is how much of a Policy the system holds.
type Level string

// The levels, the strongest first.
const (
	Full    Level = "full"
	Partial Level = "partial"
	None    Level = "none"
)

// atLeast reports whether l is other or stronger.
func (l Level) atLeast(other Level) bool { return l.rank() >= other.rank() }

func (l Level) rank() int {
	switch l {
	case Full:
		return 2
	case Partial:
		return 1
	default:
		return 0
	}
}

// Verdict is what this system can hold.
type Verdict struct {
	Level   Level
	Reasons []string // why it is not full
}
