package discovery

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// unpackedDir is the directory of what archives held.
const unpackedDir = "packages"

// archive reports a package in a file.
func (a Artifact) archive() bool { return archived(a.File) }

func archived(file string) bool {
	return strings.HasSuffix(file, ".tar.gz") || strings.HasSuffix(file, ".tgz")
}

// unpacked returns the folder of what the archive of this digest holds. It is the
// host's own, made once; its files are checked each time like those of any folder.
func (s *Scanner) unpacked(digest string, f io.ReadSeeker) (string, error) {
	dir := filepath.Join(s.opts.Data, unpackedDir)
	place := filepath.Join(dir, digest)
	if _, err := os.Lstat(place); err == nil {
		return place, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make package store: %w", err)
	}
	temp, err := os.MkdirTemp(dir, ".stage-*")
	if err != nil {
		return "", fmt.Errorf("make temporary folder: %w", err)
	}
	defer os.RemoveAll(temp) //nolint:errcheck // it was renamed, or is left to the next cleaning
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("rewind archive: %w", err)
	}
	if err := unpack(f, temp); err != nil {
		return "", err
	}
	if err := os.Rename(temp, place); err != nil {
		if _, there := os.Lstat(place); there == nil {
			return place, nil // the daemon and a command unpacked it at once: it is the same
		}
		return "", fmt.Errorf("place package: %w", err)
	}
	syncDir(dir)
	return place, nil
}

// unpack writes the files of a .tar.gz below dir. It takes files and directories
// alone, with names that stay below dir, each once, and never more than the bounds of a
// package: what an archive claims of itself is not believed.
func unpack(r io.Reader, dir string) error {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return tornArchive(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open temporary folder: %w", err)
	}
	defer root.Close() //nolint:errcheck // its files are closed
	left := &budget{r: zip, left: maxPackageBytes}
	entries := tar.NewReader(left)
	for files := 0; ; files++ {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return tornArchive(err)
		}
		if files >= maxFiles {
			return badPackage(fmt.Sprintf("it has more than %d entries", maxFiles), "")
		}
		if err := unpackEntry(root, h, entries); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, left); err != nil { // to the checksum behind the last byte
		return tornArchive(err)
	}
	return nil
}

func unpackEntry(root *os.Root, h *tar.Header, body io.Reader) error {
	name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
	if h.Typeflag == tar.TypeXGlobalHeader || h.Typeflag == tar.TypeDir && (name == "" || name == ".") {
		return nil
	}
	if !goodPath(name) {
		return badPackage(fmt.Sprintf("the entry %.80q leads out, or is too deep, too long or no good name", h.Name), "")
	}
	local := filepath.FromSlash(name)
	switch h.Typeflag {
	case tar.TypeDir:
		return placed(root.MkdirAll(local, 0o700), h)
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(local), 0o700); err != nil {
			return placed(err, h)
		}
		return unpackMember(root, local, h, body)
	default:
		return badPackage(fmt.Sprintf("the entry %.80q is a link or a special file", h.Name), "pack the file itself")
	}
}

func unpackMember(root *os.Root, local string, h *tar.Header, body io.Reader) error {
	mode := os.FileMode(0o400)
	if h.FileInfo().Mode().Perm()&0o111 != 0 {
		mode = 0o500
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := root.OpenFile(local, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return placed(err, h)
	}
	_, err = io.Copy(f, body)
	bad := errors.Join(f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return tornArchive(err)
	}
	return placed(bad, h)
}

// placed explains why an entry could not be written: mostly that there is one already.
func placed(err error, h *tar.Header) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrExist), errors.Is(err, syscall.ENOTDIR):
		return badPackage(fmt.Sprintf("the entry %.80q is there twice", h.Name), "")
	default:
		return fmt.Errorf("unpack %.80q: %w", h.Name, err)
	}
}

// errTooLarge ends an archive that does not end by itself.
var errTooLarge = errors.New("it unpacks to too much")

// tornArchive is an archive that may still be on its way, or is too large.
func tornArchive(err error) error {
	if errors.Is(err, errTooLarge) {
		return badPackage(fmt.Sprintf("it unpacks to more than %d bytes", maxPackageBytes), "")
	}
	return &UnfitError{Verdict: VerdictIncomplete, Reason: "the archive is cut short or damaged: " + err.Error(), Hint: "copy it again"}
}

// budget ends a reader with an error after left bytes.
type budget struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *budget) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, errTooLarge
	}
	return n, err //nolint:wrapcheck // an io.Reader passes on
}
