package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
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
	return &Scanner{
		opts:    opts,
		cas:     newCAS(opts.Data),
		digests: map[string]digested{},
		serving: map[string]Artifact{},
		winners: map[string]string{},
	}, nil
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
	found := make([]Artifact, 0, len(entries))
	for _, e := range entries {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		found = append(found, s.examine(root, lock, e.Name()))
	}
	s.forget(found)
	found = s.keep(lock, found)
	s.dedupe(found)
	slices.SortFunc(found, Artifact.compare)
	s.settle(lock, found)
	return found, nil
}

// examine decides about one file.
func (s *Scanner) examine(root *os.Root, lock Lock, file string) Artifact {
	a := Artifact{File: file, Path: filepath.Join(s.opts.Dir, file), Name: NameOf(file)}
	if entry, ok := lock.byFile(file); ok {
		a.Name = entry.Name
	}
	if why := temporary(file); why != "" {
		return a.judge(VerdictIgnored, why)
	}
	// Stat before open: opening a pipe or a device may wait or have effects.
	info, err := root.Stat(file)
	if err != nil {
		return a.judge(VerdictRefused, fmt.Sprintf("a link that leads out of the directory or nowhere: %v", errors.Unwrap(err)))
	}
	a.Size = info.Size()
	if info.IsDir() {
		return a.judge(VerdictIgnored, "a directory")
	}
	if !info.Mode().IsRegular() {
		return a.judge(VerdictIgnored, "not a regular file")
	}
	f, err := root.OpenFile(file, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return a.judge(VerdictRefused, fmt.Sprintf("cannot be read: %v (hint: chmod u+r %s)", errors.Unwrap(err), a.Path))
	}
	defer f.Close() //nolint:errcheck // read only
	return s.judge(a, lock, f)
}

// judge decides about an open file.
func (s *Scanner) judge(a Artifact, lock Lock, f *os.File) Artifact {
	info, err := f.Stat()
	if err != nil {
		return a.judge(VerdictRefused, fmt.Sprintf("cannot be read: %v", err))
	}
	a.Size = info.Size()
	if err := cmp.Or(executable(info, a.Path), inspect(f, info.Size())); err != nil {
		return a.unfit(err)
	}
	if worldWritable(info) {
		return a.judge(VerdictRefused, "can be written by anyone (hint: chmod o-w "+a.Path+")")
	}
	if a.Digest, err = s.digest(a.Path, f, info); err != nil {
		return a.judge(VerdictIncomplete, err.Error())
	}
	entry, approved := lock.ByDigest(a.Digest)
	switch {
	case approved:
		a.Name, a.Version = entry.Name, entry.Version
	case s.opts.Trust != TrustDir:
		return a.judge(VerdictUnapproved, unapproved(lock, a))
	case a.Name == "":
		return a.judge(VerdictRefused, "the file's name is no plugin name (hint: name it [a-z0-9][a-z0-9._-]*)")
	case s.opts.Now().Sub(info.ModTime()).Abs() < s.opts.Settle:
		return a.judge(VerdictIncomplete, "still being written")
	default:
		if m, err := LoadManifest(s.opts.Data, a.Digest); err == nil {
			a.Version = m.Version
		}
	}
	if a.Staged, err = s.cas.stage(f, a.Digest); err != nil {
		return a.judge(VerdictIncomplete, err.Error())
	}
	return a.judge(VerdictApproved, "")
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
		if !here[path] {
			delete(s.digests, path)
		}
	}
}

// keep adds what was approved under a file's name and is staged, where the file
// itself may not run now: a half copied or unapproved file stops nothing.
func (s *Scanner) keep(lock Lock, found []Artifact) []Artifact {
	runs := map[string]bool{}
	for _, a := range found {
		runs[a.Name] = runs[a.Name] || a.Runnable()
	}
	var kept []Artifact
	for i, a := range found {
		old, ok := s.before(lock, a)
		if a.Runnable() || !ok || runs[old.Name] {
			continue
		}
		path, ok := s.cas.have(old.Digest)
		if !ok {
			continue
		}
		old.File, old.Path, old.Staged = a.File, a.Path, path
		old.Verdict, old.Reason = VerdictKept, "the file was replaced by one that may not run"
		found[i].Name = old.Name
		runs[old.Name] = true
		kept = append(kept, old)
	}
	return append(found, kept...)
}

// before is what may serve in the place of a.
func (s *Scanner) before(lock Lock, a Artifact) (Artifact, bool) {
	old, ok := s.serving[a.File]
	if s.opts.Trust == TrustDir {
		return old, ok
	}
	entry, approved := lock.ByDigest(old.Digest)
	if !ok || !approved {
		entry, approved = lock.byFile(a.File)
	}
	return Artifact{Name: entry.Name, Version: entry.Version, Digest: entry.SHA256, Size: entry.Size}, approved
}

// dedupe lets one file serve each plugin: the one that does so already, else
// the first by name.
func (s *Scanner) dedupe(found []Artifact) {
	first := map[string]int{}
	for i, a := range found {
		if !a.Runnable() {
			continue
		}
		if j, ok := first[a.Name]; !ok || (a.File == s.winners[a.Name] && found[j].File != a.File) {
			first[a.Name] = i
		}
	}
	for i, a := range found {
		if !a.Runnable() || first[a.Name] == i {
			continue
		}
		winner := found[first[a.Name]]
		why := fmt.Sprintf("plugin %s is served by %s already (hint: remove %s or %s)", a.Name, winner.Path, winner.Path, a.Path)
		if a.Digest == winner.Digest {
			why = fmt.Sprintf("the same program as %s (hint: remove %s)", winner.Path, a.Path)
		}
		found[i] = a.judge(VerdictDuplicate, why)
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
			keep[a.Digest] = true
		}
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
	if err := s.cas.prune(held, first); err != nil {
		s.opts.Log.Warn("clean plugin store", "error", err)
	}
}

// unapproved says what an operator should know before approving.
func unapproved(lock Lock, a Artifact) string {
	hint := " (hint: jackfield plugin approve " + a.Path + ")"
	if entry, ok := lock.byFile(a.File); ok {
		return fmt.Sprintf("changed since %s %s was approved%s", entry.Name, entry.Version, hint)
	}
	if entry, ok := lock.ByName(a.Name); ok {
		return fmt.Sprintf("another program than the %s %s that was approved%s", entry.Name, entry.Version, hint)
	}
	return "nobody approved it" + hint
}

// judge returns a with a verdict; only an approved artifact keeps its copy.
func (a Artifact) judge(v Verdict, reason string) Artifact {
	a.Verdict, a.Reason = v, reason
	if v != VerdictApproved {
		a.Staged = ""
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
