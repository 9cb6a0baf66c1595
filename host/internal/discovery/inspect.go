package discovery

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// UnfitError says why a program cannot run on this machine.
type UnfitError struct {
	Verdict Verdict
	Reason  string
	Hint    string // what an operator can do; may be empty
}

// Error returns the reason with its hint.
func (e *UnfitError) Error() string {
	if e.Hint == "" {
		return e.Reason
	}
	return e.Reason + " (hint: " + e.Hint + ")"
}

// Inspect reads the header of the program at path and returns an *UnfitError if
// it may not be executed, is cut short, made for another machine, or lacks its
// interpreter. Nil promises nothing: only the digest tells that a file is whole.
func Inspect(path string) error {
	f, err := os.Open(path) //nolint:gosec // the caller chose the path; it is only read
	if err != nil {
		return fmt.Errorf("open program: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("stat program: %w", err)
	}
	if err := executable(info, path); err != nil {
		return err
	}
	return inspect(f, info.Size())
}

// inspect is Inspect for an open file.
func inspect(r io.ReaderAt, size int64) error {
	head := make([]byte, 256)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read header: %w", err)
	}
	head = head[:n]
	switch {
	case n == 0:
		return &UnfitError{Verdict: VerdictIncomplete, Reason: "the file is empty", Hint: "copy it again"}
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return inspectELF(r, size)
	case bytes.HasPrefix(head, []byte("#!")):
		return inspectScript(head)
	case bytes.HasPrefix(head, []byte("MZ")):
		return inspectPE(r)
	case isMachO(head):
		return inspectMachO(r)
	default:
		return &UnfitError{Verdict: VerdictNotExecutable, Reason: "the file is no program", Hint: "a plugin is an executable or a script that starts with #!"}
	}
}

// executable reports a file without any execute permission.
func executable(info os.FileInfo, path string) error {
	if !info.Mode().IsRegular() {
		return &UnfitError{Verdict: VerdictIgnored, Reason: "not a regular file"}
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o111 == 0 {
		return &UnfitError{Verdict: VerdictNotExecutable, Reason: "the file is not executable", Hint: "chmod +x " + path}
	}
	return nil
}

func inspectELF(r io.ReaderAt, size int64) error {
	f, err := elf.NewFile(r)
	if err != nil {
		return cutShort()
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return wrongArch("linux", elfArch(f))
	}
	if arch := elfArch(f); arch != runtime.GOARCH {
		return wrongArch(runtime.GOOS, arch)
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return &UnfitError{Verdict: VerdictNotExecutable, Reason: "the file is an object file, no program", Hint: "build package main"}
	}
	for _, p := range f.Progs {
		if over(p.Off, p.Filesz, size) {
			return cutShort()
		}
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		loader, err := io.ReadAll(p.Open())
		if err != nil {
			return cutShort()
		}
		if path := strings.TrimRight(string(loader), "\x00"); missing(path) {
			return &UnfitError{Verdict: VerdictNotExecutable, Reason: "its loader " + path + " is missing on this machine", Hint: "build it with CGO_ENABLED=0"}
		}
	}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_NOBITS && over(s.Offset, s.FileSize, size) {
			return cutShort()
		}
	}
	return nil
}

// elfArch names the processor as Go does.
func elfArch(f *elf.File) string {
	little := f.Data == elf.ELFDATA2LSB
	switch f.Machine { //nolint:exhaustive // the processors that Go builds for
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_AARCH64:
		return "arm64"
	case elf.EM_386:
		return "386"
	case elf.EM_ARM:
		return "arm"
	case elf.EM_RISCV:
		return "riscv64"
	case elf.EM_S390:
		return "s390x"
	case elf.EM_LOONGARCH:
		return "loong64"
	case elf.EM_PPC64:
		if little {
			return "ppc64le"
		}
		return "ppc64"
	default:
		return strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_"))
	}
}

func inspectPE(r io.ReaderAt) error {
	if runtime.GOOS != "windows" {
		return wrongArch("windows", "")
	}
	f, err := pe.NewFile(r)
	if err != nil {
		return cutShort()
	}
	if arch := peArch(f); arch != runtime.GOARCH {
		return wrongArch("windows", arch)
	}
	return nil
}

// peArch names the processor as Go does; empty if Go builds for none such.
func peArch(f *pe.File) string {
	return map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64", pe.IMAGE_FILE_MACHINE_I386: "386"}[f.Machine]
}

// machoArch likewise.
func machoArch(cpu macho.Cpu) string {
	return map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[cpu]
}

// isMachO reports a Mach-O or universal header, in either byte order.
func isMachO(head []byte) bool {
	for _, magic := range []string{"\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

func inspectMachO(r io.ReaderAt) error {
	if runtime.GOOS != "darwin" {
		return wrongArch("darwin", "")
	}
	if fat, err := macho.NewFatFile(r); err == nil {
		for _, a := range fat.Arches {
			if machoArch(a.Cpu) == runtime.GOARCH {
				return nil
			}
		}
		return wrongArch("darwin", "")
	}
	f, err := macho.NewFile(r)
	if err != nil {
		return cutShort()
	}
	if arch := machoArch(f.Cpu); arch != runtime.GOARCH {
		return wrongArch("darwin", arch)
	}
	return nil
}

// inspectScript finds the interpreter that the first line names.
func inspectScript(head []byte) error {
	line, _, _ := strings.Cut(string(head[2:]), "\n")
	words := strings.Fields(line)
	if len(words) == 0 {
		return &UnfitError{Verdict: VerdictNotExecutable, Reason: "its first line names no interpreter"}
	}
	if missing(words[0]) {
		return noInterpreter(words[0])
	}
	if filepath.Base(words[0]) != "env" {
		return nil
	}
	for _, word := range words[1:] {
		if strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
			continue
		}
		if _, err := exec.LookPath(word); err != nil {
			return noInterpreter(word)
		}
		return nil
	}
	return &UnfitError{Verdict: VerdictNotExecutable, Reason: "its first line names no interpreter"}
}

func noInterpreter(name string) error {
	return &UnfitError{Verdict: VerdictNotExecutable, Reason: "its interpreter " + name + " is missing on this machine", Hint: "install " + filepath.Base(name)}
}

func cutShort() error {
	return &UnfitError{Verdict: VerdictIncomplete, Reason: "the file is cut short", Hint: "copy it again"}
}

func wrongArch(goos, goarch string) error {
	built := goos
	if goarch != "" {
		built += "/" + goarch
	}
	return &UnfitError{
		Verdict: VerdictWrongArch,
		Reason:  fmt.Sprintf("built for %s, this host is %s/%s", built, runtime.GOOS, runtime.GOARCH),
		Hint:    fmt.Sprintf("build it with GOOS=%s GOARCH=%s", runtime.GOOS, runtime.GOARCH),
	}
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return err != nil
}

// over reports whether a part of a file reaches past the file's end.
func over(offset, length uint64, size int64) bool {
	end := offset + length
	return end < offset || size < 0 || end > uint64(size)
}
