package api

import (
	"context"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Deps are the parts of the host that the API speaks for. All are required.
type Deps struct {
	Store     Store
	Plugins   Plugins
	Engine    Engine
	Config    Config
	Database  Database
	Endpoints Endpoints
	Connects  Connects
	Calls     Calls
	Screens   Screens
}

// Store is what the API reads of the store and does in it.
type Store interface {
	Status(ctx context.Context) (store.Status, error)
	// Verify looks through all that is stored for what must never be.
	Verify(ctx context.Context) ([]store.Violation, error)
	Tenants(ctx context.Context) ([]store.Tenant, error)
	DeleteTenant(ctx context.Context, name string) error
	integrationStore
	runStore
	streamStore
	eventStore
	recordStore
	memberStore
	tokenStore
}

// Plugins tells how the plugins are. Its methods but Restart do not wait for a
// plugin.
type Plugins interface {
	// Plugins returns each file of the plugin directory that could be a plugin,
	// and each process, sorted by name; with an error, what was known before.
	Plugins(ctx context.Context) ([]Plugin, error)
	// Manifest returns what a plugin says of itself, loaded or kept; false if the
	// host does not know it.
	Manifest(ctx context.Context, name string) (sdk.Manifest, bool)
	// Logs returns the newest lines of a plugin, the oldest first, and
	// store.ErrNotFound for a plugin that there is not.
	Logs(ctx context.Context, name string, lines int) ([]LogLine, error)
	// Follow returns the lines that come from now on. The channel is closed when
	// ctx ends; a reader that is too slow loses lines.
	Follow(ctx context.Context, name string) (<-chan LogLine, error)
	// Restart starts a new process of a plugin in the place of what there is, and
	// returns when that serves or has failed. It answers store.ErrNotFound for a
	// plugin that is not loaded.
	Restart(ctx context.Context, name string) error
	// Rescan looks at the plugin directory, and returns when it has.
	Rescan(ctx context.Context) error
}

// Plugin is a plugin's file and its process.
type Plugin struct {
	Name      string
	Kind      string // data, operation or combined; empty while nobody knows
	Version   string
	Digest    string // SHA-256 in hex
	File      string
	Verdict   string // one of discovery's, or gone
	State     string // of the process: starting, serving, idle, backoff, draining, stopped, refused, quarantined, withdrawn; empty without one
	Reason    string // why the verdict or the state is not the wanted one
	PID       int
	StartedAt time.Time
	Restarts  int
	Calls     int      // in flight
	Stderr    []string // the last lines
	Memory    int64    // bytes of the process; 0 where the system does not tell
	CPU       time.Duration
	IdleAfter time.Duration // without a call, and it is stopped; 0: never
	Network   string        // how it reaches remote systems: proxy or direct

	Sandbox        string   // full, partial or none; empty if it may not run
	SandboxReasons []string // why it is not full

	MemoryLimit   uint64 // bytes that each process may have; 0: there is no limit
	MemoryLimitBy string // what holds that
	User          string // whose rights the process has; empty before the first start
	UserReason    string // why it is the daemon's

	Isolation string          // process or tenant: who shares a process
	Processes []TenantProcess // of each tenant, if each has one
	Waiting   int             // tenants that wait for one
}

// TenantProcess is the process that a plugin has for one tenant.
type TenantProcess struct {
	Tenant    string
	Version   string
	State     string // as that of Plugin
	Reason    string // why it is not serving
	PID       int
	StartedAt time.Time
	Restarts  int
	Calls     int // in flight
	Memory    int64
	CPU       time.Duration

	User, UserReason string // as those of Plugin
}

// LogLine is a line that a plugin logged.
type LogLine struct {
	At      time.Time
	Level   string
	Message string
	Fields  map[string]string
}

// Engine does the work that a person may ask for.
type Engine interface {
	// Sync stores a run, or answers the open one with created false (K12). The API
	// has found the integration able to run and the request valid.
	Sync(ctx context.Context, in store.Integration, req store.RunRequest) (run store.Run, created bool, err error)
	// Check asks the plugin to reach the remote system, with settings (JSON in
	// clear) instead of the stored ones if they are not nil. The remote's reason
	// comes as *sdk.Error.
	Check(ctx context.Context, in store.Integration, settings []byte) error
}

// Config reads the configuration files.
type Config interface {
	// Reload reads, validates and applies the files. A tenant whose file has an
	// error keeps what it had; the others are applied, in one transaction. confirm
	// applies also what looks like a rename without moved_from (K22).
	Reload(ctx context.Context, confirm bool) (Report, error)
	// Diff reads and validates the files and tells what Reload would do.
	Diff(ctx context.Context) (Report, error)
	// Status tells of the newest reading.
	Status(ctx context.Context) ConfigStatus
	// Origins tells which scope gave an integration's every, concurrency and limit
	// (O09); nothing of one that the files do not declare.
	Origins(in store.Integration) map[string]string
	// Settings returns an integration's settings in clear and the JSON Schema that
	// tells which of them are secret; no schema if its plugin is unknown. The API
	// masks them.
	Settings(ctx context.Context, in store.Integration) (settings, schema []byte, err error)
}

// Report is what a reading of the files came to.
type Report struct {
	Changes  []store.Change
	Problems []Problem
}

// The severities of problems.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Problem is one thing that is wrong with the configuration. Its texts hold no
// secret.
type Problem struct {
	Severity string
	Code     string
	Message  string
	File     string
	Line     int
	Column   int
	Source   string // the line, cut to what matters
	Caret    int    // where Column is in Source, from 1
	Help     string
}

// ConfigStatus tells of the configuration in force.
type ConfigStatus struct {
	File      string
	AppliedAt time.Time
	Problems  []Problem // of the newest reading
	Paused    bool      // nothing may run
}
