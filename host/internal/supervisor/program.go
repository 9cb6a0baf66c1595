package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/jackfield/jackfield/sdk"
)

// errDigest is a staged copy that is not what was approved.
var errDigest = errors.New("its digest is not the approved one (hint: remove cas/ in the data directory; the copies are made anew)")

// program is an executable that is open: what runs is this file, not whatever its
// path names later. It runs only once it is verified.
type program struct {
	file    *os.File
	script  bool          // needs an interpreter
	checked chan struct{} // closed when it is known whether it may run
	bad     error         // why not; set before
}

// openProgram opens the binary and begins to check its digest, each time anew: that
// takes as long as what else comes before an exec, which it need not wait for. The
// caller closes the program.
func openProgram(b Binary) (*program, error) {
	f, err := os.Open(b.Path)
	if err != nil {
		return nil, err //nolint:wrapcheck // explained by startFailure
	}
	p := &program{file: f, checked: make(chan struct{})}
	var head [2]byte
	if _, err := f.ReadAt(head[:], 0); err == nil && string(head[:]) == "#!" {
		p.script = true
	}
	go func() {
		defer close(p.checked)
		p.bad = p.check(b.program())
	}()
	return p, nil
}

// check compares the digest of the file with the one that was approved, if one was.
func (p *program) check(digest string) error {
	if digest == "" {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(p.file, 0, math.MaxInt64)); err != nil {
		return fmt.Errorf("hash program: %w", err)
	}
	if hex.EncodeToString(h.Sum(nil)) != digest {
		return errDigest
	}
	return nil
}

// verified waits until the digest is known, and says why the program may not run.
func (p *program) verified() error {
	<-p.checked
	return p.bad
}

// close waits for the check too.
func (p *program) close() {
	<-p.checked
	closeFile(p.file)
}

// matches checks that the process is what was approved.
func (b Binary) matches(m sdk.Manifest) error {
	if b.Name != "" && m.Name != b.Name {
		return fmt.Errorf("it calls itself %.64q, not %q (hint: approve it again)", m.Name, b.Name)
	}
	if b.Version != "" && m.Version != b.Version {
		return fmt.Errorf("it says that it is version %.64q, approved is %q (hint: approve it again)", m.Version, b.Version)
	}
	return nil
}
