package discovery

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Take copies the program or package at path into the store of the data directory, to
// be probed and approved, and returns what it is: its digest, the copy, and for a
// folder its runtime's program, which lock must have approved. Of a bare program it
// does not know the name. What is for a newer host than this one, of a version as
// Options.Host has it, is not taken, nor a program that the .sha256 beside it is not of.
func Take(data, host string, lock Lock, path string) (Artifact, error) {
	a := Artifact{File: filepath.Base(path), Path: path}
	info, err := os.Stat(path)
	if err != nil {
		return a, fmt.Errorf("stat program: %w", err)
	}
	if !info.IsDir() && !a.archive() {
		if a.Staged, a.Digest, a.Size, err = Stage(data, path); err == nil {
			err = checkSumOf(path, a.Digest)
		}
		return a, err
	}
	s, err := NewScanner(Options{Dir: filepath.Dir(path), Lock: LockFile, Data: data, Host: host, Leave: true})
	if err != nil {
		return a, err
	}
	place := path
	if a.archive() {
		if place, err = s.unpackFile(path); err != nil {
			return a, err
		}
	}
	root, err := os.OpenRoot(place)
	if err != nil {
		return a, fmt.Errorf("open package: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	p, err := s.openParcel(root, place)
	if errors.Is(err, errNoPackage) {
		return a, &UnfitError{Verdict: VerdictIgnored, Reason: "it has no plugin.yaml, so it is no package"}
	}
	if err != nil {
		return a, err
	}
	return s.take(a, lock, p)
}

// take stages what runs of a package.
func (s *Scanner) take(a Artifact, lock Lock, p parcel) (Artifact, error) {
	a.Name, a.Version, a.Runtime = p.desc.Name, p.desc.Version, p.desc.Runtime
	for _, m := range p.files {
		a.Size += m.size
	}
	if a.Runtime == "" {
		f, m, err := p.executable(a)
		if err != nil {
			return a, err
		}
		defer f.Close() //nolint:errcheck // read only
		a.Digest = m.digest
		a.Staged, err = s.cas.stage(f, m.digest)
		return a, err
	}
	a.Digest = p.digest()
	runtime, ok := lock.ByName(a.Runtime)
	if ok {
		a.Program = runtime.SHA256
		a.Staged, ok = s.cas.have(runtime.SHA256)
	}
	if !ok {
		return a, &UnfitError{Verdict: VerdictNoRuntime, Reason: "plugin " + a.Runtime + ", which runs it, is not approved", Hint: "jackfield plugin approve " + a.Runtime}
	}
	var err error
	a.Folder, err = s.folders.keep(p)
	return a, err
}

// unpackFile unpacks the archive at path.
func (s *Scanner) unpackFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0) //nolint:gosec // the operator named it
	if err != nil {
		return "", fmt.Errorf("open package: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("stat package: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxPackageBytes {
		return "", badPackage("it is no regular file or too large", "")
	}
	digest, err := hash(f)
	if err != nil {
		return "", err
	}
	return s.unpacked(digest, f)
}

// Identify returns the digest that the program or package at path is approved by.
func Identify(data string, lock Lock, path string) (string, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && !archived(path) {
		return Digest(path)
	}
	a, err := Take(data, "", lock, path)
	return a.Digest, err
}

// Copies returns the digests of the plugin's copies of a version that can be used
// again, the newest first, and the versions that there are copies of.
func Copies(data, name, version string) (digests, versions []string, err error) {
	kept, err := LoadManifests(data)
	staged := map[string]time.Time{}
	for digest, m := range kept {
		if m.Name != name {
			continue
		}
		place, ok := Staged(data, digest)
		if !ok {
			place, ok = Folder(data, digest)
		}
		info, statErr := os.Stat(place)
		if !ok || statErr != nil {
			continue
		}
		versions = append(versions, m.Version)
		if m.Version == version {
			digests, staged[digest] = append(digests, digest), info.ModTime()
		}
	}
	slices.SortFunc(digests, func(a, b string) int { return staged[b].Compare(staged[a]) })
	slices.Sort(versions)
	return digests, slices.Compact(versions), err
}
