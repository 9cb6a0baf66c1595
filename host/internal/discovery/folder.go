package discovery

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// foldersDir is the directory of private copies of folders that a runtime runs.
const foldersDir = "folders"

// member is a file of a package.
type member struct {
	path     string // with slashes
	digest   string
	size     int64
	modified time.Time
}

// about reports a file that tells of the package and is no part of what is approved.
func (m member) about() bool { return m.path == sumsFile || m.path == signatureFile }

// find returns the member of a path.
func find(files []member, name string) (member, bool) {
	i, ok := slices.BinarySearchFunc(files, name, func(m member, name string) int { return strings.Compare(m.path, name) })
	if !ok {
		return member{}, false
	}
	return files[i], true
}

// list hashes the files of a folder, by path. What editors and copying tools leave is
// passed over; links and special files refuse the folder, and so do too many.
func (s *Scanner) list(root *os.Root, place string) ([]member, error) {
	return s.listAll(root, place, func(_ string, err error) error { return err })
}

// listAll is list which leaves to refused whether what is wrong with one file ends it.
func (s *Scanner) listAll(root *os.Root, place string, refused func(name string, err error) error) ([]member, error) {
	var files []member
	var total int64
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return &UnfitError{Verdict: VerdictIncomplete, Reason: "it changed while it was read: " + cause(err), Hint: "copy the package again"}
		case name == ".":
			return nil
		case transient(path.Base(name)) && d.IsDir():
			return fs.SkipDir
		case transient(path.Base(name)):
			return nil
		case !goodPath(name):
			return badPackage(fmt.Sprintf("%.80q is too deep, too long or no good name", name), "")
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return refused(name, badPackage(fmt.Sprintf("%.240q is a link or a special file", name), "put the file itself there"))
		case len(files) >= maxFiles:
			return badPackage(fmt.Sprintf("it has more than %d files", maxFiles), "")
		}
		m, err := s.member(root, place, name)
		if err != nil {
			return refused(name, err)
		}
		if total += m.size; total > maxPackageBytes {
			return badPackage(fmt.Sprintf("it has more than %d bytes", maxPackageBytes), "")
		}
		files = append(files, m)
		return nil
	})
	slices.SortFunc(files, func(a, b member) int { return strings.Compare(a.path, b.path) })
	return files, err //nolint:wrapcheck // the walk passes on what is made above
}

// member hashes a file, or remembers.
func (s *Scanner) member(root *os.Root, place, name string) (member, error) {
	local := filepath.FromSlash(name)
	f, err := root.OpenFile(local, os.O_RDONLY|openFlags|noFollow, 0)
	if err != nil {
		return member{}, &UnfitError{Verdict: VerdictRefused, Reason: fmt.Sprintf("%.240q cannot be read: %s", name, cause(err))}
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	full := filepath.Join(place, local)
	switch {
	case err != nil:
		return member{}, &UnfitError{Verdict: VerdictRefused, Reason: fmt.Sprintf("%.240q cannot be read: %s", name, cause(err))}
	case !info.Mode().IsRegular():
		return member{}, badPackage(fmt.Sprintf("%.240q is a link or a special file", name), "put the file itself there")
	case s.tooOpen(info, full) != "":
		return member{}, &UnfitError{Verdict: VerdictRefused, Reason: s.tooOpen(info, full)}
	case info.Size() > maxPackageBytes:
		return member{}, badPackage(fmt.Sprintf("%.240q has more than %d bytes", name, maxPackageBytes), "")
	}
	sum, err := s.digest(full, f, info)
	if err != nil {
		return member{}, &UnfitError{Verdict: VerdictIncomplete, Reason: err.Error()}
	}
	s.members[full] = true
	return member{path: name, digest: sum, size: info.Size(), modified: info.ModTime()}, nil
}

// digest is that of the package's list of files: the same files, the same digest.
func (p parcel) digest() string { return listDigest(p.files) }

func listDigest(files []member) string {
	h := sha256.New()
	for _, m := range files {
		if !m.about() {
			fmt.Fprintf(h, "%s  %s\n", m.digest, m.path)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// folders keeps private copies of approved folders, named by their digest.
type folders struct {
	dir   string
	whole func(place string) (digest string, err error) // lists a copy
}

// keep makes sure that a copy of the package is there, and returns its path.
func (c *folders) keep(p parcel) (string, error) {
	digest := p.digest()
	if place, ok := c.have(digest); ok {
		return place, nil
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder store: %w", err)
	}
	temp, err := os.MkdirTemp(c.dir, ".stage-*")
	if err != nil {
		return "", fmt.Errorf("make temporary folder: %w", err)
	}
	defer os.RemoveAll(temp) //nolint:errcheck // it was renamed, or is left to the next cleaning
	for _, m := range p.files {
		if m.about() {
			continue
		}
		if err := copyMember(p.root, temp, m); err != nil {
			return "", fmt.Errorf("copy %s: %w", m.path, err)
		}
	}
	place := filepath.Join(c.dir, digest)
	if err := os.RemoveAll(place); err != nil { // one that was tampered with
		return "", fmt.Errorf("replace folder: %w", err)
	}
	if err := os.Rename(temp, place); err != nil {
		return "", fmt.Errorf("place folder: %w", err)
	}
	syncDir(c.dir)
	return place, nil
}

// have returns the path of a copy that is what its name says.
func (c *folders) have(digest string) (string, bool) {
	place := filepath.Join(c.dir, digest)
	if _, err := os.Lstat(place); err != nil || !validDigest(digest) {
		return "", false
	}
	sum, err := c.whole(place)
	return place, err == nil && sum == digest
}

// copyMember copies a file into dir while it hashes, and refuses other bytes than were
// read before.
func copyMember(root *os.Root, dir string, m member) (err error) {
	local := filepath.FromSlash(m.path)
	src, err := root.OpenFile(local, os.O_RDONLY|openFlags|noFollow, 0)
	if err != nil {
		return err //nolint:wrapcheck // the caller names the file
	}
	defer src.Close() //nolint:errcheck // read only
	place := filepath.Join(dir, local)
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return err //nolint:wrapcheck // likewise
	}
	syscall.ForkLock.RLock() // as of a staged program: a child must not inherit it open for writing
	defer syscall.ForkLock.RUnlock()
	dst, err := os.OpenFile(place, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // in a folder of our own
	if err != nil {
		return err //nolint:wrapcheck // likewise
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(dst, h), io.LimitReader(src, m.size+1)); err != nil {
		return err //nolint:wrapcheck // likewise
	}
	if hex.EncodeToString(h.Sum(nil)) != m.digest {
		return errDigest
	}
	if err := dst.Chmod(0o400); err != nil {
		return err //nolint:wrapcheck // likewise
	}
	return dst.Sync() //nolint:wrapcheck // likewise
}

// Folder returns the private copy of a folder with this digest, if there is one.
func Folder(data, digest string) (string, bool) {
	place := filepath.Join(data, foldersDir, digest)
	info, err := os.Lstat(place)
	return place, err == nil && info.IsDir() && validDigest(digest)
}

// CheckFolder reports a private copy whose files are not those of its digest.
func CheckFolder(place, digest string) error {
	s := &Scanner{opts: Options{Now: time.Now}, digests: map[string]digested{}, members: map[string]bool{}}
	sum, err := s.listed(place)
	if err != nil {
		return fmt.Errorf("read folder: %w", err)
	}
	if sum != digest {
		return fmt.Errorf("the folder's copy is not what was approved (hint: remove %s; it is made anew)", place)
	}
	return nil
}

// listed returns the digest of the folder at place.
func (s *Scanner) listed(place string) (string, error) {
	root, err := os.OpenRoot(place)
	if err != nil {
		return "", fmt.Errorf("open folder: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	files, err := s.list(root, place)
	return listDigest(files), err
}
