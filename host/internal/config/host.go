package config

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"aead.dev/minisign"
	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/store"
)

// Version is the version of host.yaml that this package reads.
const Version = 1

// Trust says which binaries of the plugin directory may run.
type Trust string

// The modes of trust.
const (
	TrustLock   Trust = "lock"   // those whose digest is in plugins.lock
	TrustSigned Trust = "signed" // those that one of the keys signed
	TrustDir    Trust = "dir"    // all of them; with serve --dev alone (K21)
)

// Host is host.yaml, with defaults filled in and paths made absolute.
type Host struct {
	File      string     `json:"file"`   // absolute
	Listen    string     `json:"listen"` // of HTTP; empty: none. Beyond this machine with TLS alone
	TLS       TLS        `json:"tls,omitzero"`
	Hosts     []string   `json:"hosts,omitempty"` // names that HTTP is reached by, besides those of this machine
	Data      string     `json:"data"`
	Plugins   PluginDir  `json:"plugins"`
	Tenants   string     `json:"tenants"`
	Templates string     `json:"templates"`
	Key       string     `json:"key"` // the key file; never inside Data
	Log       LogOptions `json:"log"`
	Snapshots Snapshots  `json:"snapshots"`
	Defaults  Defaults   `json:"defaults"`
	Telemetry Telemetry  `json:"telemetry"`
	Egress    Egress     `json:"egress"`
	// Paused keeps every run from beginning or going on (O52).
	Paused bool `json:"paused,omitempty"`
	// StuckAfter is how long a run may make no progress before it is helped on
	// (C33).
	StuckAfter time.Duration `json:"stuck_after"`
	// Retention is how long the store keeps what is over.
	Retention store.Retention `json:"retention"`
	// DeleteGuard is the share of a kind's records above which a full sync deletes
	// nothing.
	DeleteGuard float64 `json:"delete_guard"`
	Calls       Calls   `json:"calls"`
}

// PluginDir says where plugins stand and which of them may run.
type PluginDir struct {
	Dir   string   `json:"dir"`
	Trust Trust    `json:"trust"`
	Keys  []string `json:"keys,omitempty"` // minisign public keys, for TrustSigned
	// Idle is after how long a plugin that nothing calls is stopped; 0: never. Idles
	// says so of some by name; IdleOf of each.
	Idle  time.Duration            `json:"idle"`
	Idles map[string]time.Duration `json:"idles,omitempty"`
	// Network says which plugins connect by themselves, by name (P09). The others
	// reach what the host's proxy lets them.
	Network map[string]Network `json:"network,omitempty"`
	// Isolation says whose processes serve one tenant each, by name (H24), and
	// MaxProcesses how many of them a plugin may have.
	Isolation    map[string]Isolation `json:"isolation,omitempty"`
	MaxProcesses int                  `json:"max_processes"`
	// Probation is how long a new version that fails gives way to the one before, and
	// Drain how long calls of the one before have to end.
	Probation time.Duration `json:"probation"`
	Drain     time.Duration `json:"drain"`
	// OnIncompatible says what happens when a new version does not take the settings of
	// integrations.
	OnIncompatible Incompatible `json:"on_incompatible"`
	// OnRemove says what happens to a plugin whose file is removed.
	OnRemove Removed `json:"on_remove"`

	Sandbox Sandbox `json:"sandbox"`
	Memory  uint64  `json:"memory"` // bytes that each process of a plugin may have
	Users   Users   `json:"users"`  // of whom each plugin is one, where the daemon is root
}

// Snapshots say when the store is copied, how many copies are kept, and where.
type Snapshots struct {
	Every time.Duration `json:"every"` // 0: never
	Keep  int           `json:"keep"`
	Dir   string        `json:"dir"`
}

// snapshotDir returns where snapshots stand if host.yaml does not say.
func snapshotDir(data string) string { return filepath.Join(data, "snapshots") }

// LogOptions say what is logged and how. Empty fields leave it to the flags.
type LogOptions struct {
	Level  string `json:"level,omitempty"`  // trace, debug, info, warn or error
	Format string `json:"format,omitempty"` // text or json
}

// LockFile returns the path of plugins.lock: beside host.yaml.
func (h Host) LockFile() string { return filepath.Join(filepath.Dir(h.File), "plugins.lock") }

// Default returns what a host.yaml at path means that says nothing but its
// version.
func Default(path string) Host {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	dir := filepath.Dir(abs)
	return Host{
		File:        abs,
		Listen:      "127.0.0.1:7480",
		Data:        filepath.Join(dir, "data"),
		Plugins:     defaultPlugins(filepath.Join(dir, "plugins")),
		Tenants:     filepath.Join(dir, "tenants"),
		Templates:   filepath.Join(dir, "templates"),
		Key:         secret.KeyPath(abs),
		Retention:   store.DefaultRetention(),
		Snapshots:   Snapshots{Every: 24 * time.Hour, Keep: 7, Dir: snapshotDir(filepath.Join(dir, "data"))},
		DeleteGuard: store.DefaultDeleteGuard,
		StuckAfter:  time.Hour,
		Calls:       defaultCalls(),
	}
}

// LoadHost reads host.yaml. If the problems have an error, the answer is Default
// with what could be read.
func LoadHost(path string, opts Options) (Host, Problems) {
	return newLoader(opts).host(path)
}

func (l *loader) host(path string) (Host, Problems) {
	h := Default(path)
	s := readSource(h.File, nil)
	if len(s.problems) == 1 && s.problems[0].Code == CodeMissingFile {
		s.problems[0].Help = "jackfield init makes one; -c names another place"
	}
	root := s.parse()
	if root == nil {
		return h, s.done()
	}
	o, ok := s.object(root, "", hostKeys()...)
	if !ok {
		return h, s.done()
	}
	l.version(o)
	h.TLS = l.tls(o)
	h.Hosts = o.hosts("hosts")
	h.Listen = l.listen(o, h.Listen)
	h.Data = l.path(o, "data", h.Data)
	h.Snapshots.Dir = snapshotDir(h.Data)
	if o.has("snapshots") {
		h.Snapshots = l.snapshots(o, h.Snapshots)
	}
	h.Tenants = l.path(o, "tenants", h.Tenants)
	h.Templates = l.path(o, "templates", h.Templates)
	h.Key = l.path(o, "key", h.Key)
	if o.has("plugins") {
		h.Plugins = l.pluginDir(o, h.Plugins)
	}
	if o.has("templates") {
		if info, err := os.Stat(h.Templates); err == nil && !info.IsDir() {
			s.failAt(CodeBadValue, o.at("templates"), "", "templates: not a directory")
		}
	}
	if within(h.Key, h.Data) {
		s.failAt(CodeBadValue, o.at("key"), "a copy of the data would hold its key; put it beside host.yaml", "key: the key file is inside the data directory")
	}
	if o.has("log") {
		if log, ok := s.object(o.at("log"), "log", "level", "format"); ok {
			h.Log.Level = log.word("level", "", "trace", "debug", "info", "warn", "error")
			h.Log.Format = log.word("format", "", "text", "json")
		}
	}
	if n, ok := o.scalar("delete_guard", "a share", "!!int", "!!float"); ok {
		share, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || !(share >= 0 && share <= 1) {
			s.failAt(CodeBadValue, n, "such as 0.2; 1 lets a full sync delete everything", "delete_guard: %s is not between 0 and 1", short(n.Value))
		} else {
			h.DeleteGuard = share
		}
	}
	h.Paused = o.boolean("paused", false)
	h.StuckAfter = o.stuckAfter(h.StuckAfter)
	if o.has("telemetry") {
		h.Telemetry = l.telemetry(o)
	}
	if o.has("retention") {
		h.Retention = l.retention(o, h.Retention)
	}
	if o.has("defaults") {
		h.Defaults = l.defaults(o)
	}
	if o.has("egress") {
		h.Egress = l.egress(o)
	}
	if o.has("calls") {
		h.Calls = l.calls(o, h.Calls)
	}
	return h, s.done()
}

func hostKeys() []string {
	return []string{"version", "listen", "tls", "hosts", "data", "plugins", "tenants", "templates", "key", "log", "defaults", "retention", "snapshots", "delete_guard", "paused", "stuck_after", "telemetry", "egress", "calls"}
}

func (l *loader) version(o object) {
	o.need("version")
	if n, ok := o.scalar("version", "a whole number", "!!int"); ok && n.Value != strconv.Itoa(Version) {
		o.src.failAt(CodeNotSupported, n, "", "version: this program reads version %d", Version)
	}
}

func (l *loader) pluginDir(o object, otherwise PluginDir) PluginDir {
	p, ok := o.src.objectWith(o.at("plugins"), "plugins", named, "dir", "trust", "keys", "idle", "network", "probation", "drain", "on_incompatible", "on_remove", "sandbox", "memory", "max_processes", "users")
	if !ok {
		return otherwise
	}
	out := PluginDir{Dir: l.path(p, "dir", otherwise.Dir), Idle: p.idle(otherwise.Idle), MaxProcesses: otherwise.MaxProcesses}
	p.ofEach(&out)
	out.Trust = Trust(p.word("trust", string(otherwise.Trust), string(TrustLock), string(TrustSigned), string(TrustDir)))
	out.Keys = p.signingKeys("keys")
	out.Network = p.network("network")
	out.Sandbox, out.Memory = p.sandbox(otherwise.Sandbox), p.memory("memory", otherwise.Memory)
	out.Users = p.users("users", otherwise.Users)
	if out.Trust == TrustSigned && !p.has("keys") {
		o.src.failAt(CodeMissingKey, p.at("trust"), "keys: [RW...], the second line of minisign.pub", `plugins needs the key "keys" with trust: signed`)
	}
	p.upgrades(&out, otherwise)
	if n, ok := p.integer("max_processes", mostProcesses); ok {
		out.MaxProcesses = n
	}
	return out
}

// signingKeys reads a list of minisign public keys.
func (o object) signingKeys(key string) (keys []string) {
	if !o.has(key) {
		return nil
	}
	list := deref(o.at(key))
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		o.src.failAt(CodeBadType, o.at(key), "", "%s: a list of keys is needed, this is %s", join(o.path, key), kindOf(list))
		return nil
	}
	for _, n := range list.Content {
		v := deref(n)
		var public minisign.PublicKey
		if v.Kind != yaml.ScalarNode || public.UnmarshalText([]byte(v.Value)) != nil {
			o.src.failAt(CodeBadValue, n, "the second line of minisign.pub, which begins with RW", "%s: an entry is no minisign public key", join(o.path, key))
			continue
		}
		keys = append(keys, v.Value)
	}
	return keys
}

// The bounds of what snapshots may be asked for.
const (
	shortestSnapshot = time.Minute
	longestSnapshot  = 366 * 24 * time.Hour
	maxSnapshots     = 10_000
)

// snapshots reads snapshots: {every, keep, dir}.
func (l *loader) snapshots(o object, otherwise Snapshots) Snapshots {
	p, ok := o.src.object(o.at("snapshots"), "snapshots", "every", "keep", "dir")
	if !ok {
		return otherwise
	}
	out := Snapshots{Every: otherwise.Every, Keep: otherwise.Keep, Dir: l.path(p, "dir", otherwise.Dir)}
	if n, ok := p.integer("keep", maxSnapshots); ok {
		out.Keep = n
	}
	if !p.has("every") {
		return out
	}
	n := deref(p.at("every"))
	every, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || every != 0 && (every < shortestSnapshot || every > longestSnapshot) {
		o.src.failAt(CodeBadValue, p.at("every"), "such as 24h; 0 makes none", "snapshots.every: not a time between 1m and 8784h")
		return out
	}
	out.Every = every
	return out
}

// stuckAfter reads how long a run may make no progress: longer than a call lives.
func (o object) stuckAfter(otherwise time.Duration) time.Duration {
	const least, most = 15 * time.Minute, 30 * 24 * time.Hour
	text, ok := o.text("stuck_after")
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		o.src.failAt(CodeBadValue, o.at("stuck_after"), "such as 90m or 2h; at least 15m, since a call may live for ten minutes", "stuck_after: %q is not such a time", short(text))
		return otherwise
	}
	return d
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !hasParent(rel)
}

func hasParent(rel string) bool {
	return len(rel) > 2 && rel[:3] == ".."+string(filepath.Separator)
}
