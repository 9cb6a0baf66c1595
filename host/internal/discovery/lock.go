package discovery

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"
)

// LockFile is the usual name of the lock, beside host.yaml.
const LockFile = "plugins.lock"

// lockVersion is the format of the lock that is written and read.
const lockVersion = 1

// lockHeader tells a reader of the file what it is.
const lockHeader = `# The plugins that this host may run, by digest. "jackfield plugin approve" writes
# this file; it belongs under version control, and a review of it is a review of
# what will be executed.
`

// Lock lists the digests that may be executed.
type Lock struct {
	Version int     `yaml:"version"`
	Plugins []Entry `yaml:"plugins"`
	// Rejected never runs, whatever the trust.
	Rejected []Rejection `yaml:"rejected,omitempty"`
}

// Rejection is one digest that somebody rejected.
type Rejection struct {
	Name       string    `yaml:"name"` // what it was known as
	SHA256     string    `yaml:"sha256"`
	RejectedAt time.Time `yaml:"rejected_at,omitempty"`
}

// Entry is one approved binary.
type Entry struct {
	Name         string    `yaml:"name"`
	Version      string    `yaml:"version"`
	SHA256       string    `yaml:"sha256"`
	Size         int64     `yaml:"size"`
	File         string    `yaml:"file,omitempty"`    // what it was approved as in the plugin directory
	Pinned       bool      `yaml:"pinned,omitempty"`  // chosen instead of what the file is
	Runtime      string    `yaml:"runtime,omitempty"` // the plugin whose program runs it, a folder
	Capabilities []string  `yaml:"capabilities,omitempty"`
	Hosts        []string  `yaml:"hosts,omitempty"` // that it may connect to whatever its settings say
	ApprovedAt   time.Time `yaml:"approved_at,omitempty"`
}

// LoadLock reads the lock at path. A missing file is an empty lock: nothing is
// approved.
func LoadLock(path string) (Lock, error) {
	body, err := os.ReadFile(path) //nolint:gosec // the operator's own path
	if errors.Is(err, fs.ErrNotExist) {
		return Lock{Version: lockVersion}, nil
	}
	if err != nil {
		return Lock{}, fmt.Errorf("read plugin lock: %w", err)
	}
	var lock Lock
	if err := yaml.Load(body, &lock, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		return Lock{}, fmt.Errorf("%s is no list of plugins: %s (hint: restore it from version control, or remove it and approve the plugins again)", path, yamlText(err))
	}
	if err := lock.validate(); err != nil {
		return Lock{}, fmt.Errorf("plugin lock %s: %w", path, err)
	}
	return lock, nil
}

// yamlText returns what YAML stumbled over, without its words about Go's types.
func yamlText(err error) string {
	return withoutTypes(regexp.MustCompile(`^yaml: (\w+ errors: )?`).ReplaceAllString(err.Error(), ""))
}

// withoutTypes takes the words about Go's types out of what YAML says.
func withoutTypes(text string) string {
	return regexp.MustCompile(` (in type|into) \S+`).ReplaceAllString(text, "")
}

// Save writes the lock to path in a stable order, replacing the file whole.
func (l Lock) Save(path string) error {
	l.Version = lockVersion
	l.Plugins = slices.Clone(l.Plugins)
	slices.SortFunc(l.Plugins, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.SHA256, b.SHA256))
	})
	if err := l.validate(); err != nil {
		return fmt.Errorf("plugin lock: %w", err)
	}
	l.Rejected = slices.Clone(l.Rejected)
	slices.SortFunc(l.Rejected, func(a, b Rejection) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.SHA256, b.SHA256)) })
	body, err := yaml.Dump(l, yaml.WithV4Defaults())
	if err != nil {
		return fmt.Errorf("encode plugin lock: %w", err)
	}
	if err := writeFile(path, append([]byte(lockHeader), bytes.TrimLeft(body, "\n")...), 0o644); err != nil {
		return fmt.Errorf("save plugin lock: %w", err)
	}
	return nil
}

// Approve puts e in the place of the plugin's other entries, and reports
// whether that changed anything. It takes a rejection back.
func (l *Lock) Approve(e Entry) bool {
	slices.Sort(e.Capabilities)
	l.Rejected = slices.DeleteFunc(l.Rejected, func(r Rejection) bool { return r.SHA256 == e.SHA256 })
	if have, ok := l.ByName(e.Name); ok && have.SHA256 == e.SHA256 && have.Version == e.Version && have.File == e.File && have.Pinned == e.Pinned {
		return false
	}
	l.Plugins = slices.DeleteFunc(l.Plugins, func(have Entry) bool { return have.Name == e.Name })
	l.Plugins = append(l.Plugins, e)
	return true
}

// Reject takes the approval of a digest back, if there is one, and keeps it from being
// approved with all others. It reports whether that changed anything.
func (l *Lock) Reject(r Rejection) bool {
	if l.rejected(r.SHA256) {
		return false
	}
	l.Plugins = slices.DeleteFunc(l.Plugins, func(e Entry) bool { return e.SHA256 == r.SHA256 })
	l.Rejected = append(l.Rejected, r)
	return true
}

// Remove takes a plugin's entries out, and reports whether there were any.
func (l *Lock) Remove(name string) bool {
	before := len(l.Plugins)
	l.Plugins = slices.DeleteFunc(l.Plugins, func(e Entry) bool { return e.Name == name })
	return len(l.Plugins) < before
}

func (l *Lock) rejected(digest string) bool {
	return slices.ContainsFunc(l.Rejected, func(r Rejection) bool { return r.SHA256 == digest })
}

// ByDigest returns the entry of a digest.
func (l Lock) ByDigest(digest string) (Entry, bool) {
	return l.find(func(e Entry) bool { return e.SHA256 == digest })
}

// ByName returns the first entry of a plugin.
func (l Lock) ByName(name string) (Entry, bool) {
	return l.find(func(e Entry) bool { return e.Name == name })
}

// ByFile returns the entry that was approved under a file's name.
func (l Lock) ByFile(file string) (Entry, bool) {
	return l.find(func(e Entry) bool { return e.File == file })
}

func (l Lock) find(match func(Entry) bool) (Entry, bool) {
	if i := slices.IndexFunc(l.Plugins, match); i >= 0 {
		return l.Plugins[i], true
	}
	return Entry{}, false
}

// validate checks what a hand or a merge may have broken.
func (l Lock) validate() error {
	var errs []error
	if l.Version != lockVersion {
		errs = append(errs, fmt.Errorf("version %d is not supported, want %d", l.Version, lockVersion))
	}
	for i, e := range l.Plugins {
		switch {
		case !ValidName(e.Name):
			errs = append(errs, fmt.Errorf("plugins[%d]: %q is no plugin name", i, e.Name))
		case !ValidVersion(e.Version):
			errs = append(errs, fmt.Errorf("plugins[%d]: %s: %q is no version", i, e.Name, e.Version))
		case e.File != "" && !inPlace(e.File):
			errs = append(errs, fmt.Errorf("plugins[%d]: %s: %q is no file of the plugin directory", i, e.Name, e.File))
		case e.Runtime != "" && !ValidName(e.Runtime):
			errs = append(errs, fmt.Errorf("plugins[%d]: %s: runtime %q is no plugin name", i, e.Name, e.Runtime))
		case !validDigest(e.SHA256):
			errs = append(errs, fmt.Errorf("plugins[%d]: %s: sha256 is not 64 digits of lower-case hex", i, e.Name))
		}
	}
	for i, r := range l.Rejected {
		if !validDigest(r.SHA256) {
			errs = append(errs, fmt.Errorf("rejected[%d]: %s: sha256 is not 64 digits of lower-case hex", i, r.Name))
		}
	}
	return errors.Join(errs...)
}
