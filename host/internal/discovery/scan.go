package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// racy is how long after its last change a file's stamp proves nothing: a
// second change may carry the same time.
const racy = 2 * time.Second

// Scanner reads the plugin directory. It is for one goroutine at a time.
type Scanner struct {
	opts    Options
	cas     *cas
	digests map[string]digested // by path
	serving map[string]Artifact // by file: what could run after the last scan
	winners map[string]string   // by plugin: the file that serves it
	pruned  map[string]bool     // what served at the last cleaning of the store

	folders *folders
	members map[string]bool // paths in packages that the last scan saw
	unpacks map[string]bool // digests of the archives that it saw
	proofs  map[string]bool // digests with the signatures that vouch for them
}

// digested is a digest that was computed once.
type digested struct {
	stamp  stamp
	digest string
}

// NewScanner returns a scanner. It touches nothing until Scan.
func NewScanner(opts Options) (*Scanner, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Scanner{
		opts:    opts,
		cas:     newCAS(opts.Data),
		digests: map[string]digested{},
		serving: map[string]Artifact{},
		winners: map[string]string{},
		members: map[string]bool{},
		unpacks: map[string]bool{},
		proofs:  map[string]bool{},
	}
	s.folders = &folders{dir: filepath.Join(opts.Data, foldersDir), whole: s.listed}
	return s, nil
}

// Scan returns a verdict for every file in the plugin directory, sorted by file.
// It stages what may run. It fails if the directory or the lock cannot be read;
// the caller then keeps what it has.
func (s *Scanner) Scan(ctx context.Context) ([]Artifact, error) {
	if err := CheckDir(s.opts.Dir, s.opts.Trust); err != nil {
		return nil, err
	}
	lock, err := LoadLock(s.opts.Lock)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("open plugin directory: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("read plugin directory: %w", err)
	}
	clear(s.members)
	clear(s.unpacks)
	found := make([]Artifact, 0, len(entries))
	for _, e := range entries {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		for _, file := range places(root, e) {
			found = append(found, s.examine(root, lock, file))
		}
	}
	found = s.stay(lock, s.keep(lock, found, false), false)
	lend(found)
	found = s.stay(lock, s.keep(lock, found, true), true) // folders, now that their runtimes are there
	s.forget(found)
	s.dedupe(found)
	slices.SortFunc(found, Artifact.compare)
	s.settle(lock, found)
	return found, nil
}

// examine decides about one file.
func (s *Scanner) examine(root *os.Root, lock Lock, file string) Artifact {
	a := Artifact{File: file, Path: filepath.Join(s.opts.Dir, file), Name: NameOf(file)}
	if folder := path.Dir(file); folder != "." {
		a.Name = NameOf(folder)
	}
	if entry, ok := lock.ByFile(file); ok {
		a.Name = entry.Name
	}
	if why := temporary(path.Base(file)); why != "" {
		return a.judge(VerdictIgnored, why)
	}
	// Stat before open: opening a pipe or a device may wait or have effects.
	info, err := root.Stat(file)
	if err != nil {
		return a.judge(VerdictRefused, fmt.Sprintf("a link that leads out of the directory or nowhere: %v", errors.Unwrap(err)))
	}
	a.Size = info.Size()
	if info.IsDir() {
		return s.examineFolder(root, lock, a)
	}
	if !info.Mode().IsRegular() {
		return a.judge(VerdictIgnored, "not a regular file")
	}
	f, err := root.OpenFile(file, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return a.judge(VerdictRefused, fmt.Sprintf("cannot be read: %v (hint: chmod u+r %s)", errors.Unwrap(err), a.Path))
	}
	defer f.Close() //nolint:errcheck // read only
	if a.archive() {
		return s.examineArchive(a, lock, f)
	}
	return s.judge(a, lock, root, f)
}

// judge decides about an open program.
func (s *Scanner) judge(a Artifact, lock Lock, root *os.Root, f *os.File) Artifact {
	info, err := f.Stat()
	if err != nil {
		return a.judge(VerdictRefused, fmt.Sprintf("cannot be read: %v", err))
	}
	a.Size = info.Size()
	if err := cmp.Or(executable(info, a.Path), inspect(f, info.Size())); err != nil {
		return a.unfit(err)
	}
	if why := s.tooOpen(info, a.Path); why != "" {
		return a.judge(VerdictRefused, why)
	}
	digest, err := s.digest(a.Path, f, info)
	if err != nil {
		return a.judge(VerdictIncomplete, err.Error())
	}
	vouched, err := checkSum(root, a.File, digest)
	if err != nil {
		a.Digest = digest
		return a.unfit(err)
	}
	return s.decide(a, lock, consent{
		digest: digest, changed: info.ModTime(), vouched: vouched,
		signed: func() error { return s.signedFile(root, a.File, digest, f) },
		stage: func(a *Artifact) (err error) {
			a.Staged, err = s.cas.stage(f, digest)
			return err
		},
	})
}

// consent is what it takes to decide whether a program or folder may run.
type consent struct {
	digest  string
	changed time.Time // when it last did
	vouched bool      // a .sha256 beside it has its digest
	signed  func() error
	stage   func(*Artifact) error // makes the private copy
}

// decide says whether what was read may run, and then stages it.
func (s *Scanner) decide(a Artifact, lock Lock, c consent) Artifact {
	a.Digest = c.digest
	if lock.rejected(a.Digest) {
		return a.judge(VerdictRejected, "somebody rejected it (hint: jackfield plugin approve "+a.Path+")")
	}
	entry, approved := lock.ByDigest(a.Digest)
	switch s.opts.Trust {
	case TrustLock:
		if !approved {
			return a.judge(unapproved(lock, a, c.vouched))
		}
		a.Name, a.Version = entry.Name, entry.Version
	case TrustSigned:
		if err := c.signed(); err != nil {
			return a.unfit(err)
		}
	case TrustDir:
		if s.opts.Now().Sub(c.changed).Abs() < s.opts.Settle {
			return a.judge(VerdictIncomplete, "still being written")
		}
	}
	if a.Name == "" {
		return a.judge(VerdictRefused, "the file's name is no plugin name (hint: name it [a-z0-9][a-z0-9._-]*)")
	}
	if m, err := LoadManifest(s.opts.Data, a.Digest); err == nil && a.Version == "" {
		a.Version = m.Version
	}
	if err := c.stage(&a); err != nil {
		return a.judge(VerdictIncomplete, err.Error())
	}
	return a.judge(VerdictApproved, "")
}

// lend gives folders the programs of their runtimes.
func lend(found []Artifact) {
	for i, a := range found {
		if a.Folder == "" || a.Staged != "" {
			continue
		}
		r, ok := runtimeOf(found, a.Runtime)
		if !ok {
			found[i] = a.judge(VerdictNoRuntime, fmt.Sprintf("plugin %s, which would run it, is not there or may not run (hint: jackfield plugin list)", a.Runtime))
			continue
		}
		found[i].Staged, found[i].Program = r.Staged, r.Digest
	}
}

// runtimeOf returns the artifact whose program runs folders under this name.
func runtimeOf(found []Artifact, name string) (Artifact, bool) {
	i := slices.IndexFunc(found, func(a Artifact) bool { return a.Name == name && a.Runtime == "" && a.Runnable() })
	if i < 0 {
		return Artifact{}, false
	}
	return found[i], true
}

// digest hashes the file, or remembers.
func (s *Scanner) digest(path string, f *os.File, info os.FileInfo) (string, error) {
	st := stampOf(info)
	if known, ok := s.digests[path]; ok && known.stamp == st {
		return known.digest, nil
	}
	sum, err := hash(f)
	if err != nil {
		return "", err
	}
	if s.rests(info) {
		s.digests[path] = digested{stamp: st, digest: sum}
	}
	return sum, nil
}

// rests reports whether the file's stamp tells its content.
func (s *Scanner) rests(info os.FileInfo) bool {
	return s.opts.Now().UnixNano()-stampOf(info).changedAt() > racy.Nanoseconds()
}

// forget drops the digests of files that are gone.
func (s *Scanner) forget(found []Artifact) {
	here := make(map[string]bool, len(found))
	for _, a := range found {
		here[a.Path] = true
	}
	for path := range s.digests {
		if !here[path] && !s.members[path] {
			delete(s.digests, path)
		}
	}
}

// settle remembers what serves, and cleans the store when that has changed.
func (s *Scanner) settle(lock Lock, found []Artifact) {
	clear(s.serving)
	clear(s.winners)
	keep := map[string]bool{}
	for _, a := range found {
		if a.Runnable() {
			s.serving[a.File] = a
			s.winners[a.Name] = a.File
			keep[a.Digest], keep[a.Program] = true, true
		}
	}
	if s.opts.Leave {
		return
	}
	first := s.pruned == nil
	if !first && maps.Equal(keep, s.pruned) {
		return
	}
	s.pruned = maps.Clone(keep)
	for _, e := range lock.Plugins {
		keep[e.SHA256] = true
	}
	held := func(digest string) bool { return keep[digest] || s.opts.Keep(digest) }
	if err := s.prune(held, first); err != nil {
		s.opts.Log.Warn("clean plugin store", "error", err)
	}
}

// unapproved says what an operator should know before approving.
func unapproved(lock Lock, a Artifact, vouched bool) (Verdict, string) {
	hint := " (hint: jackfield plugin approve " + a.Path + ")"
	if vouched {
		hint = "; the " + checksumExt + " beside it agrees" + hint
	}
	entry, same := lock.ByFile(a.File)
	known := same
	if !same {
		entry, known = lock.ByName(a.Name)
	}
	switch {
	case known && entry.Pinned:
		return VerdictPinned, fmt.Sprintf("%s %s was chosen to be used instead%s", entry.Name, entry.Version, hint)
	case same:
		return VerdictUnapproved, fmt.Sprintf("changed since %s %s was approved%s", entry.Name, entry.Version, hint)
	case known:
		return VerdictUnapproved, fmt.Sprintf("another program than the %s %s that was approved%s", entry.Name, entry.Version, hint)
	default:
		return VerdictUnapproved, "nobody approved it" + hint
	}
}

// judge returns a with a verdict; only an approved artifact keeps its copy.
func (a Artifact) judge(v Verdict, reason string) Artifact {
	a.Verdict, a.Reason = v, reason
	if v != VerdictApproved {
		a.Staged, a.Program, a.Folder = "", "", ""
	}
	return a
}

// unfit returns a with the verdict that err carries.
func (a Artifact) unfit(err error) Artifact {
	if e, ok := errors.AsType[*UnfitError](err); ok {
		return a.judge(e.Verdict, e.Error())
	}
	return a.judge(VerdictRefused, err.Error())
}
