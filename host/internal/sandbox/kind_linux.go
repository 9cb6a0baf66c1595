//go:build amd64 || arm64

package sandbox

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// kind is what a program needs to run: for a script the line that names its
// interpreter, without its mark.
type kind string

// The kinds that are no scripts.
const (
	static  kind = ""  // itself alone
	dynamic kind = "*" // the system's libraries
)

const maxShebang = 256 // bytes that the kernel reads

// kindOf looks into the program.
func kindOf(f *os.File) (kind, error) {
	head := make([]byte, maxShebang)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return static, fmt.Errorf("read program: %w", err)
	}
	if line, ok := strings.CutPrefix(string(head[:n]), "#!"); ok {
		line, _, _ = strings.Cut(line, "\n")
		return kind(strings.TrimSpace(line)), nil
	}
	program, err := elf.NewFile(f)
	if err != nil {
		return static, nil //nolint:nilerr // no program at all: the kernel says so when it is executed
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			return dynamic, nil
		}
	}
	return static, nil
}

// script reports whether an interpreter runs it, which may start other programs.
func (k kind) script() bool { return k != static && k != dynamic }

// interpreters returns the programs that run a script: the one that it names, and the
// one that that finds in the path.
func (k kind) interpreters() []string {
	fields := strings.Fields(string(k))
	if !k.script() || len(fields) == 0 {
		return nil
	}
	out := []string{fields[0]}
	if filepath.Base(fields[0]) != "env" {
		return out
	}
	for _, word := range fields[1:] {
		if strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
			continue
		}
		if path, err := exec.LookPath(word); err == nil {
			if path, err = filepath.Abs(path); err == nil {
				out = append(out, path)
			}
		}
		break
	}
	return out
}
