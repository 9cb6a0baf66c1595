package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	hcplugin "github.com/hashicorp/go-plugin"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/store"
)

// Binary is a plugin to run. Two of the same name and digest are the same.
type Binary struct {
	Name    string // of the plugin; its manifest must say the same
	Version string // likewise, unless empty
	Path    string // the staged copy, executed in place
	Digest  string // SHA-256 in hex, verified at each start; not checked if empty

	// Of a folder that another plugin's program runs; else empty. Then Path is that
	// program, and Digest is of the folder's list of files.
	Folder  string // handed to the program as FolderEnv
	Program string // digest of Path, verified at each start in the place of Digest

	Access Access // what its processes may reach

	// Tenant is whose process it is of a plugin that has one for each; else empty.
	Tenant string
}

// socketDirEnv is the variable that names the directory of a process. What a process
// starts has it, too, by which it is known after the end of both.
const socketDirEnv = "PLUGIN_UNIX_SOCKET_DIR"

// FolderEnv is the variable in which a program finds the folder that it is to run.
const FolderEnv = "JACKFIELD_PLUGIN_DIR"

// program is the digest of what is executed.
func (b Binary) program() string { return cmp.Or(b.Program, b.Digest) }

// Options of a Supervisor. The zero value means the documented defaults, but
// for RunDir, which is required.
type Options struct {
	// RunDir is private to the host: sockets, one directory a process. It is
	// emptied when Run begins. If its path is too long for a socket, a short one
	// in the system's temporary directory takes its place.
	RunDir string
	// Shared lets other users pass through RunDir to a directory that they know: that of
	// their process, if Confine gives it to them.
	Shared bool

	StartTimeout time.Duration // from exec to an answer to Describe; 10s if zero
	StopTimeout  time.Duration // from asking a process to stop to killing it; 2s if zero
	TrialTimeout time.Duration // for a new version to prove itself beside the old one; 60s if zero
	DrainTimeout time.Duration // for calls in flight when a plugin is replaced or removed; 20s if zero
	OpenTimeout  time.Duration // of opening an instance; 10s if zero

	HealthEvery     time.Duration // between two questions; 5s if zero
	HealthMisses    int           // unanswered ones before the process is killed; 2 if zero
	MinRestartDelay time.Duration // after the first crash, doubled by each; 100ms if zero
	MaxRestartDelay time.Duration // 5m if zero
	RetryCandidate  time.Duration // after a new version was refused, doubled by each; 30s if zero
	Probation       time.Duration // of a new version, which by failing brings the one before back; 5m if zero
	StableAfter     time.Duration // of serving, and the delay starts small again; 10m if zero

	IdleInstances int // kept open a process; 1000 if zero (K18)

	// Idle is after how long a plugin that nothing calls is stopped, until its next
	// call starts it again; never if zero. IdleOf says so of some plugins instead, by name. SetIdle changes
	// both.
	Idle   time.Duration
	IdleOf map[string]time.Duration

	// PerTenant reports whether each tenant has a process of the plugin of its own; none
	// has if nil. It always says the same.
	PerTenant func(plugin string) bool

	// Reach returns what a tenant's process may reach; nothing but its own if nil.
	Reach func(plugin, tenant string) Access

	// MaxProcesses is how many tenants' processes of one plugin there are at once, but
	// for those that take over from one; 32 if zero. Who needs one more waits for
	// PlaceTimeout, 5s if zero, until one that has nothing to do has made way.
	MaxProcesses int
	PlaceTimeout time.Duration

	// Room says why no other process may be started now, or returns nil. A plugin
	// that is refused is tried again like one that does not start; none is refused
	// if nil.
	Room func() error

	// Accept says why a program cannot be taken that says m of itself, with Because, or
	// returns nil. Every one is taken if nil.
	Accept func(m sdk.Manifest) error

	// Verify says why a new version may not take over from the one that serves, with
	// Because, or returns nil. Every one may if nil.
	Verify func(ctx context.Context, c Candidate) error

	// Cursors keeps the way back from a version that writes what the one before does not
	// read; there is none if nil.
	Cursors Cursors

	// Manifest returns what the program of a digest said of itself, if that is known;
	// nothing is if nil.
	Manifest func(digest string) (sdk.Manifest, bool)

	// Resume returns the probation in which an earlier host left b: the version before
	// it and the end; there is none if nil.
	Resume func(b Binary) (previous Binary, until time.Time, ok bool)

	// Egress makes the way out of a process of b that is about to start and whose
	// directory is dir. A process connects by itself if nil, or if it returns nil.
	Egress func(ctx context.Context, b Binary, dir string) (Egress, error)

	// Protocols are the versions of the protocol that plugins may speak, each with how
	// it is spoken: a *plugin.Client is what is dispensed. Plugin and host take the
	// highest that both know, so that plugins of several versions run beside each other.
	// plugin.Plugins() if nil.
	Protocols map[int]hcplugin.PluginSet

	Env []string // NAME=value, added to the fixed environment of every plugin

	Log     hclog.Logger            // plugins' lines and the supervisor's own; none if nil
	Redact  func(string) string     // takes known secrets out of what is logged; none if nil
	Inspect func(path string) error // says why a program cannot run here, for a failed start; none if nil
	// Folder reports a folder that is not what its digest says, at each start; none is
	// checked if nil.
	Folder   func(path, digest string) error
	OnChange func()           // called after a state changed, but for one that rests or is woken; must not block
	Now      func() time.Time // time.Now if nil
	// OnMove is told of every transition of plugins and processes, in order; it must
	// not block. Of a program it is told what running it showed: its From is empty.
	OnMove func(store.PluginMove)
	// OnCall is told of every call of a plugin that has ended; it must not block.
	OnCall func(Call)
	// Trace begins the span of a call: it returns the call's place, a traceparent that
	// the plugin is told, and what is told of the end; an empty one if the call is not
	// traced. No call is if nil. It must not block.
	Trace func(ctx context.Context, plugin, method string) (parent string, end func(TracedCall))

	// Confine puts a start into a sandbox: it changes cmd, which executes the program, to
	// one that does so with fewer rights. There is no sandbox if it is nil, or
	// answers nil.
	Confine func(cmd *exec.Cmd, l Launch) (Confinement, error)

	raw func(RawLine) // of Examine
}

func (o Options) withDefaults() Options {
	o.StartTimeout = cmp.Or(o.StartTimeout, 10*time.Second)
	o.StopTimeout = cmp.Or(o.StopTimeout, 2*time.Second)
	o.TrialTimeout = cmp.Or(o.TrialTimeout, time.Minute)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 20*time.Second)
	o.OpenTimeout = cmp.Or(o.OpenTimeout, 10*time.Second)
	o.HealthEvery = cmp.Or(o.HealthEvery, 5*time.Second)
	o.HealthMisses = cmp.Or(o.HealthMisses, 2)
	o.MinRestartDelay = cmp.Or(o.MinRestartDelay, 100*time.Millisecond)
	o.MaxRestartDelay = cmp.Or(o.MaxRestartDelay, 5*time.Minute)
	o.RetryCandidate = cmp.Or(o.RetryCandidate, 30*time.Second)
	o.Probation = cmp.Or(o.Probation, 5*time.Minute)
	o.StableAfter = cmp.Or(o.StableAfter, 10*time.Minute)
	o.IdleInstances = cmp.Or(o.IdleInstances, 1000)
	o.MaxProcesses = cmp.Or(o.MaxProcesses, 32)
	o.PlaceTimeout = cmp.Or(o.PlaceTimeout, 5*time.Second)
	if o.PerTenant == nil {
		o.PerTenant = func(string) bool { return false }
	}
	if o.Reach == nil {
		o.Reach = func(string, string) Access { return Access{} }
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Protocols == nil {
		o.Protocols = plugin.Plugins()
	}
	if o.Room == nil {
		o.Room = func() error { return nil }
	}
	if o.Accept == nil {
		o.Accept = func(sdk.Manifest) error { return nil }
	}
	if o.Verify == nil {
		o.Verify = func(context.Context, Candidate) error { return nil }
	}
	if o.Manifest == nil {
		o.Manifest = func(string) (sdk.Manifest, bool) { return sdk.Manifest{}, false }
	}
	if o.Resume == nil {
		o.Resume = func(Binary) (Binary, time.Time, bool) { return Binary{}, time.Time{}, false }
	}
	if o.Redact == nil {
		o.Redact = func(s string) string { return s }
	}
	if o.Egress == nil {
		o.Egress = func(context.Context, Binary, string) (Egress, error) { return noEgress{}, nil }
	}
	if o.Inspect == nil {
		o.Inspect = func(string) error { return nil }
	}
	if o.Folder == nil {
		o.Folder = func(string, string) error { return nil }
	}
	if o.OnChange == nil {
		o.OnChange = func() {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnMove == nil {
		o.OnMove = func(store.PluginMove) {}
	}
	return o
}

// environ is the environment of a plugin whose sockets and temporary files
// belong into dir. Nothing else of the host's is passed on: it may hold secrets.
func (o Options) environ(dir string, b Binary) []string {
	env := []string{"TMPDIR=" + dir, socketDirEnv + "=" + dir}
	if b.Folder != "" {
		env = append(env, FolderEnv+"="+b.Folder)
	}
	for _, name := range []string{"PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, o.Env...)
}

// The path of a Unix socket has a fixed size, less the byte that ends it. Below
// the run directory come the boot's directory, the process's, and the socket.
const (
	maxSocketPath  = 107
	belowRunDir    = len("/01234567/99999/plugin1234567890") + 3
	maxRunDir      = maxSocketPath - belowRunDir
	privateDirMode = 0o700
	passedDirMode  = 0o711
)

// runDir returns the directory to use: RunDir, or a short one that stands for it.
func (o Options) runDir() (string, error) {
	if o.RunDir == "" {
		return "", fmt.Errorf("supervisor: the run directory is required")
	}
	dir, err := filepath.Abs(o.RunDir)
	if err != nil {
		return "", fmt.Errorf("find run directory: %w", err)
	}
	if len(dir) <= maxRunDir {
		return dir, nil
	}
	short := "jackfield-" + shortHash(fmt.Sprintf("%d %s", os.Getuid(), dir))
	for _, temp := range []string{os.TempDir(), "/tmp"} {
		if path := filepath.Join(temp, short); len(path) <= maxRunDir {
			return path, nil
		}
	}
	return "", fmt.Errorf("run directory %s: %d bytes are too long for a socket's path, which may have %d with what comes below (hint: a shorter data directory or TMPDIR)", dir, len(dir), maxRunDir)
}
