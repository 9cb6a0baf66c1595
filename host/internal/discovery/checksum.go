package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// checksumExt ends the name of the file beside a program that has its digest, as
// sha256sum writes it.
const checksumExt = ".sha256"

// maxChecksum bounds such a file, which may list the programs for other systems too.
const maxChecksum = 64 << 10

// checkSum compares a program's digest with what the .sha256 beside it says, and
// reports whether there is one. A digest that agrees tells that the copy is whole, and
// nothing of who made it: it is no approval.
func checkSum(root *os.Root, file, digest string) (vouched bool, err error) {
	body, err := readBounded(root, file+checksumExt, maxChecksum)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	said, ok := digestIn(string(body), path.Base(file))
	switch {
	case !ok:
		return false, mismatch(fmt.Sprintf("%s%s beside it has no SHA-256 digest of it", file, checksumExt), fmt.Sprintf("sha256sum %s > %s%s", file, file, checksumExt))
	case said != digest:
		return false, mismatch(fmt.Sprintf("its digest is %.12s, and %s%s beside it says %.12s", digest, file, checksumExt, said), "copy both again; if that does not help, one of them is of another version")
	default:
		return true, nil
	}
}

func mismatch(reason, hint string) error {
	return &UnfitError{Verdict: VerdictMismatch, Reason: reason, Hint: hint}
}

// digestIn finds the digest of a file in what sha256sum wrote: the line with its name,
// or the only word of the only line.
func digestIn(body, name string) (string, bool) {
	lines := strings.Split(strings.TrimSpace(body), "\n")
	for _, line := range lines {
		digest, of, named := strings.Cut(strings.TrimSpace(line), " ")
		of = path.Base(filepath.ToSlash(strings.TrimPrefix(strings.TrimSpace(of), "*")))
		if !named && len(lines) == 1 || named && of == name {
			digest = strings.ToLower(digest)
			return digest, validDigest(digest)
		}
	}
	return "", false
}

// checkSumOf is checkSum of a program anywhere.
func checkSumOf(file, digest string) error {
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("open folder of program: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	_, err = checkSum(root, filepath.Base(file), digest)
	return err
}
