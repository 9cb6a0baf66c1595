package discovery

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// casDir is the directory of staged copies in the data directory.
const casDir = "cas"

// keepUnused is how many copies of a plugin that nothing names are kept, for a return
// to an earlier version.
const keepUnused = 3

// errDigest is a copy whose content is not what was read before.
var errDigest = errors.New("the file changed while it was read")

// cas is the store of verified copies, named by their digest. Only the host
// writes there, so what was approved and what is executed are the same bytes.
type cas struct {
	dir string
	// verified holds the stamps of copies that were hashed since the start.
	verified map[string]stamp
}

func newCAS(data string) *cas {
	return &cas{dir: filepath.Join(data, casDir), verified: map[string]stamp{}}
}

// Stage copies the program at path into the store of the data directory and
// returns the copy's path, digest and size. The copy is what to probe and run.
func Stage(data, path string) (staged, digest string, size int64, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0) //nolint:gosec // the operator named it
	if err != nil {
		return "", "", 0, fmt.Errorf("open program: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return "", "", 0, fmt.Errorf("stat program: %w", err)
	}
	if err := executable(info, path); err != nil {
		return "", "", 0, err
	}
	if err := inspect(f, info.Size()); err != nil {
		return "", "", 0, err
	}
	digest, err = hash(f)
	if err != nil {
		return "", "", 0, err
	}
	staged, err = newCAS(data).stage(f, digest)
	return staged, digest, info.Size(), err
}

// Staged returns the copy of a program that was staged earlier, if there is one. It is
// verified when it is executed.
func Staged(data, digest string) (path string, ok bool) {
	if !validDigest(digest) {
		return "", false
	}
	path = filepath.Join(newCAS(data).dir, digest)
	info, err := os.Lstat(path)
	return path, err == nil && info.Mode().IsRegular()
}

// Digest returns the SHA-256 of the file at path in hex.
func Digest(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0) //nolint:gosec // the operator's own path
	if err != nil {
		return "", fmt.Errorf("open program: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	return hash(f)
}

// hash returns the SHA-256 of the whole file in hex.
func hash(f io.ReadSeeker) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("rewind program: %w", err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash program: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// stage makes sure that a verified copy of src, which hashed to digest, is in
// the store, and returns its path.
func (c *cas) stage(src io.ReadSeeker, digest string) (string, error) {
	if path, ok := c.have(digest); ok {
		return path, nil
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return "", fmt.Errorf("make plugin store: %w", err)
	}
	if err := os.Chmod(c.dir, 0o700); err != nil { //nolint:gosec // a directory that only the host enters
		return "", fmt.Errorf("close plugin store to others: %w", err)
	}
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("rewind program: %w", err)
	}
	temp, err := c.copyTemp(src, digest)
	if err != nil {
		return "", fmt.Errorf("stage program: %w", err)
	}
	path := filepath.Join(c.dir, digest)
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return "", fmt.Errorf("stage program: %w", err)
	}
	syncDir(c.dir)
	c.remember(digest, path)
	return path, nil
}

// copyTemp copies src to a temporary file while it hashes, and refuses content
// that is not digest. No process is forked while the copy is open for writing:
// a child that inherits it would make the exec fail with "text file busy".
func (c *cas) copyTemp(src io.Reader, digest string) (name string, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := os.CreateTemp(c.dir, ".stage-*.tmp")
	if err != nil {
		return "", fmt.Errorf("make temporary file: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), src); err != nil {
		return "", fmt.Errorf("copy: %w", err)
	}
	if hex.EncodeToString(h.Sum(nil)) != digest {
		return "", errDigest
	}
	if err := f.Chmod(0o555); err != nil { // plugins' users execute it, through a descriptor: nobody else comes to it
		return "", fmt.Errorf("set mode: %w", err)
	}
	if err := f.Sync(); err != nil {
		return "", fmt.Errorf("flush: %w", err)
	}
	return f.Name(), nil
}

// have returns the path of a copy that is in the store and whole.
func (c *cas) have(digest string) (string, bool) {
	path := filepath.Join(c.dir, digest)
	if info, err := os.Lstat(path); err == nil {
		if known, ok := c.verified[digest]; ok && known == stampOf(info) {
			return path, true
		}
	}
	path, st, ok := c.whole(digest)
	if ok {
		c.verified[digest] = st
	}
	return path, ok
}

// whole hashes a copy and returns its path and stamp if it is what its name says.
func (c *cas) whole(digest string) (path string, st stamp, ok bool) {
	path = filepath.Join(c.dir, digest)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return "", stamp{}, false
	}
	f, err := os.Open(path) //nolint:gosec // in the host's own store
	if err != nil {
		return "", stamp{}, false
	}
	defer f.Close() //nolint:errcheck // read only
	sum, err := hash(f)
	return path, stampOf(info), err == nil && sum == digest
}

func (c *cas) remember(digest, path string) {
	if info, err := os.Lstat(path); err == nil {
		c.verified[digest] = stampOf(info)
	}
}
