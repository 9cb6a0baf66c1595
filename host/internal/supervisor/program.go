package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// errDigest is a staged copy that is not what was approved.
var errDigest = errors.New("its digest is not the approved one (hint: remove cas/ in the data directory; the copies are made anew)")

// program is an executable that is open and verified: what runs is this file,
// not whatever its path names later.
type program struct {
	file   *os.File
	script bool // needs an interpreter
}

// openProgram opens the binary and checks its digest, each time anew.
func openProgram(b Binary) (*program, error) {
	f, err := os.Open(b.Path)
	if err != nil {
		return nil, err //nolint:wrapcheck // explained by startFailure
	}
	p := &program{file: f}
	var head [2]byte
	if _, err := io.ReadFull(f, head[:]); err == nil && string(head[:]) == "#!" {
		p.script = true
	}
	if b.Digest == "" {
		return p, nil
	}
	h := sha256.New()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("rewind program: %w", err), f.Close())
	}
	if _, err := io.Copy(h, f); err != nil {
		return nil, errors.Join(fmt.Errorf("hash program: %w", err), f.Close())
	}
	if hex.EncodeToString(h.Sum(nil)) != b.Digest {
		return nil, errors.Join(errDigest, f.Close())
	}
	return p, nil
}
