package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Options are what a reader of the configuration needs from outside the files.
// The zero Options know no plugin.
type Options struct {
	// Plugins returns the manifest of an approved plugin. Settings of a plugin that
	// it does not know are not checked, and a warning says so.
	Plugins func(name string) (sdk.Manifest, bool)
	// Had returns the connectors that an integration, tenant/name, has had: one of these
	// that its plugin has no more is parked, and no error. None has if nil.
	Had func(integration string) []string
	// LookupEnv returns a variable of the environment; os.LookupEnv if nil.
	LookupEnv func(name string) (string, bool)
	// Redactor is told the secrets that are found; nil: nobody.
	Redactor *secret.Redactor
	// Template returns a template as it was when its file was good the last time; nil:
	// nobody knows.
	Template func(name string) (store.Template, bool)
	// HostFault says what is wrong with the host of an integration of a template, or
	// nothing; nil: nobody looks.
	HostFault func(host string) string
	// Read remembers templates that did not change; nil: each is looked at again.
	Read *ReadTemplates
	// CheckTemplate returns what is wrong with a template that can be read; nil:
	// nobody looks. It is called from several goroutines.
	CheckTemplate func(store.Template) []TemplateFault
	// CheckOverride returns what is wrong with the chains and the screen of a template
	// of which an integration says something otherwise; nil: nobody looks.
	CheckOverride func(store.Template) []TemplateFault
	// Running is the configuration that a daemon was started with: what is read at
	// start alone stays as it is there, and stands in for a host.yaml that is bad.
	Running *Host
	// Good returns host.yaml as it was good the last time, which goes before Running when
	// it is bad; nil: it was not read since the start.
	Good func() (Host, bool)
}

// Snapshot is all of the configuration as the files had it at one time.
type Snapshot struct {
	Host      Host
	HostOK    bool // host.yaml has no error
	Files     []TenantFile
	Templates []TemplateFile
	// Listed reports whether the tenants directory could be read: if not, nothing
	// is known of what is declared.
	Listed   bool
	Problems Problems
	// Sum is equal for snapshots that mean the same, secrets included.
	Sum string
}

// Integrations returns what the good files declare.
func (s Snapshot) Integrations() []Integration {
	var out []Integration
	for _, f := range s.Files {
		if f.Good {
			out = append(out, f.Integrations...)
		}
	}
	return out
}

// GoodTemplates returns the templates of the good files, and the names of those
// whose files are bad.
func (s Snapshot) GoodTemplates() (good []store.Template, bad []string) {
	for _, f := range s.Templates {
		if f.Good {
			good = append(good, f.Template)
		} else if f.Name != "" {
			bad = append(bad, f.Name)
		}
	}
	return good, bad
}

// Unchecked returns the plugins whose manifests are not known, sorted.
func (s Snapshot) Unchecked() []string {
	var out []string
	for _, f := range s.Files {
		for _, in := range f.Integrations {
			if !in.Checked && in.Spec.Plugin != "" {
				out = append(out, in.Spec.Plugin)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Load reads host.yaml and the tenant files that it names. It always returns a
// Snapshot; what is wrong stands in its Problems.
func Load(hostFile string, opts Options) Snapshot {
	l := newLoader(opts)
	host, problems := l.host(hostFile)
	s := Snapshot{Host: host, HostOK: !problems.Failed()}
	if opts.Running != nil {
		problems = append(problems, s.keep(*opts.Running, opts.Good)...)
	}
	templates, wrong := l.templates(s.Host.Templates)
	l.keepTemplates(templates)
	files, more := l.tenants(s.Host.Tenants, s.Host.Defaults)
	s.Listed = !slices.ContainsFunc(more, func(p Problem) bool { return p.File == s.Host.Tenants })
	if s.Listed || s.HostOK || opts.Running != nil { // a bad host.yaml may name another directory
		s.Files, s.Templates = files, templates
		problems = append(append(problems, wrong...), more...)
	}
	s.Problems = problems.sorted()
	s.Sum = s.sum()
	return s
}

// keep leaves what a daemon reads at start alone as it was at the start, and all of a
// host.yaml that is bad as it was when it was good.
func (s *Snapshot) keep(running Host, good func() (Host, bool)) Problems {
	if !s.HostOK {
		s.Host = running
		if good != nil {
			if last, ok := good(); ok {
				s.Host = last
			}
		}
		return nil
	}
	var out Problems
	same := func(key string, now *string, then string) {
		if *now == then {
			return
		}
		*now = then
		out = append(out, Problem{
			Severity: SeverityWarning, Code: CodeNeedsRestart, File: s.Host.File,
			Message: key + " is read at the start alone; the daemon goes on with what it had", Help: "restart the daemon",
		})
	}
	if s.Host.Snapshots.Dir == snapshotDir(s.Host.Data) { // it follows data, which stays
		s.Host.Snapshots.Dir = snapshotDir(running.Data)
	}
	same("listen", &s.Host.Listen, running.Listen)
	tls := s.Host.TLS.Cert + " " + s.Host.TLS.Key
	same("tls", &tls, running.TLS.Cert+" "+running.TLS.Key)
	s.Host.TLS = running.TLS
	hosts := strings.Join(s.Host.Hosts, " ")
	same("hosts", &hosts, strings.Join(running.Hosts, " "))
	s.Host.Hosts = slices.Clone(running.Hosts)
	same("data", &s.Host.Data, running.Data)
	same("key", &s.Host.Key, running.Key)
	same("tenants", &s.Host.Tenants, running.Tenants)
	same("templates", &s.Host.Templates, running.Templates)
	same("plugins.dir", &s.Host.Plugins.Dir, running.Plugins.Dir)
	trust := string(s.Host.Plugins.Trust)
	same("plugins.trust", &trust, string(running.Plugins.Trust))
	s.Host.Plugins.Trust = Trust(trust)
	removed := string(s.Host.Plugins.OnRemove)
	same("plugins.on_remove", &removed, string(running.Plugins.OnRemove))
	s.Host.Plugins.OnRemove = Removed(removed)
	keys := strings.Join(s.Host.Plugins.Keys, " ")
	same("plugins.keys", &keys, strings.Join(running.Plugins.Keys, " "))
	s.Host.Plugins.Keys = slices.Clone(running.Plugins.Keys)
	same("telemetry.otlp.endpoint", &s.Host.Telemetry.OTLP.Endpoint, running.Telemetry.OTLP.Endpoint)
	share := strconv.FormatFloat(s.Host.Telemetry.OTLP.Share, 'g', -1, 64)
	same("telemetry.otlp.share", &share, strconv.FormatFloat(running.Telemetry.OTLP.Share, 'g', -1, 64))
	s.Host.Telemetry = running.Telemetry
	network := fmt.Sprint(s.Host.Plugins.Network)
	same("plugins.network", &network, fmt.Sprint(running.Plugins.Network))
	s.Host.Plugins.Network = maps.Clone(running.Plugins.Network)
	isolation := fmt.Sprint(s.Host.Plugins.Isolation)
	same("plugins.NAME.isolation", &isolation, fmt.Sprint(running.Plugins.Isolation))
	s.Host.Plugins.Isolation = maps.Clone(running.Plugins.Isolation)
	processes := strconv.Itoa(s.Host.Plugins.MaxProcesses)
	same("plugins.max_processes", &processes, strconv.Itoa(running.Plugins.MaxProcesses))
	s.Host.Plugins.MaxProcesses = running.Plugins.MaxProcesses
	same("plugins.sandbox.require", &s.Host.Plugins.Sandbox.Require, running.Plugins.Sandbox.Require)
	own := strconv.FormatBool(s.Host.Plugins.Sandbox.RequireUser)
	same("plugins.sandbox.require_user", &own, strconv.FormatBool(running.Plugins.Sandbox.RequireUser))
	s.Host.Plugins.Sandbox.RequireUser = running.Plugins.Sandbox.RequireUser
	trusted := strings.Join(s.Host.Plugins.Sandbox.Trusted, " ")
	same("plugins.sandbox.trusted", &trusted, strings.Join(running.Plugins.Sandbox.Trusted, " "))
	s.Host.Plugins.Sandbox.Trusted = slices.Clone(running.Plugins.Sandbox.Trusted)
	memory := strconv.FormatUint(s.Host.Plugins.Memory, 10)
	same("plugins.memory", &memory, strconv.FormatUint(running.Plugins.Memory, 10))
	s.Host.Plugins.Memory = running.Plugins.Memory
	users := s.Host.Plugins.Users.String()
	same("plugins.users", &users, running.Plugins.Users.String())
	s.Host.Plugins.Users = running.Plugins.Users
	return out
}

// sum hashes everything that a snapshot says.
func (s Snapshot) sum() string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	// None of these can fail to encode, and a hash takes every write.
	_ = enc.Encode(s.Host)
	_ = enc.Encode([]bool{s.HostOK, s.Listed})
	for _, f := range s.Files {
		_ = enc.Encode(f)
		_ = enc.Encode(f.Screens.Origins)
		for _, in := range f.Integrations {
			settings := in.Settings.Reveal("to tell whether it changed")
			_ = enc.Encode([]any{in.Spec, in.MovedFrom, in.Limit, in.Origins, in.Checked, in.scheduled, settings})
		}
	}
	for _, f := range s.Templates {
		_ = enc.Encode([]any{f, f.Template.Sum})
	}
	_ = enc.Encode(s.Problems)
	return hex.EncodeToString(h.Sum(nil))
}

// loader reads files once. It is used by one goroutine.
type loader struct {
	opts     Options
	checkers map[string]*checker       // by plugin; nil: its schema cannot be used
	declared map[string]store.Template // by name: of good files, and what those of bad ones were
	brought  map[string]store.Template // by plugin: what manifests bring along, as far as it was asked for
	secrets  []string                  // of the file that is read
}

func newLoader(opts Options) *loader {
	if opts.Plugins == nil {
		opts.Plugins = func(string) (sdk.Manifest, bool) { return sdk.Manifest{}, false }
	}
	if opts.Had == nil {
		opts.Had = func(string) []string { return nil }
	}
	if opts.LookupEnv == nil {
		opts.LookupEnv = os.LookupEnv
	}
	return &loader{opts: opts, checkers: map[string]*checker{}, declared: map[string]store.Template{}, brought: map[string]store.Template{}}
}

var errBadSchema = errors.New("bad settings schema")

// checker returns the compiled schema of a plugin.
func (l *loader) checker(plugin string, schema []byte) (*checker, error) {
	c, ok := l.checkers[plugin]
	if !ok {
		var err error
		if c, err = newChecker(schema); err != nil {
			c = nil
		}
		l.checkers[plugin] = c
	}
	if c == nil {
		return nil, errBadSchema
	}
	return c, nil
}

// keepSecrets tells the redactor what was found in a file. Those of a bad file are
// not in use: what it had when it was good stays known.
func (l *loader) keepSecrets(f TenantFile) {
	if l.opts.Redactor != nil && f.Good {
		l.opts.Redactor.Keep("config "+f.Path, l.secrets...)
	}
	l.secrets = nil
}

// tenantPaths lists the tenant files of a directory, sorted, and those that must
// not be read. The caller closes the folder.
func tenantPaths(dir string) (of *folder, paths []string, refused []TenantFile, problems Problems) {
	of, err := openFolder(dir, "tenants")
	var links []string
	if err == nil {
		paths, links, problems, err = of.paths()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		problems = Problems{{Severity: SeverityError, Code: CodeUnreadable, File: dir, Message: "the tenants directory does not exist", Help: "make it, or name another one with tenants: in host.yaml"}}
	case err != nil:
		problems = Problems{{Severity: SeverityError, Code: CodeUnreadable, File: dir, Message: "the tenants directory cannot be read: " + cause(err).Error()}}
	}
	for _, path := range links {
		refused = append(refused, TenantFile{Path: path})
	}
	return of, paths, refused, problems
}

func itoa(i int) string { return strconv.Itoa(i) }
