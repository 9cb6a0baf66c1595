package discovery

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// inspectFor reports a program that is not one for the platform, in the words of
// plugin.yaml such as linux_amd64. A script is for each.
func inspectFor(platform string, r io.ReaderAt, size int64) error {
	goos, arch, ok := strings.Cut(platform, "_")
	if !ok || goos == "" || arch == "" {
		return badPackage("it is for no platform", "name the system and the processor as Go does, such as linux_amd64")
	}
	head := make([]byte, 4)
	if n, err := r.ReadAt(head, 0); n < len(head) && err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read header: %w", err)
	}
	form, arches, err := builtFor(head, r, size)
	if err != nil || form == "" {
		return err
	}
	fits := form == goos || form == "linux" && goos != "darwin" && goos != "windows" // the BSDs use its form
	if !fits || !slices.Contains(arches, arch) {
		return &UnfitError{Verdict: VerdictWrongArch, Reason: "it is built for " + form + "_" + strings.Join(arches, ", "), Hint: "build it with GOOS=" + goos + " GOARCH=" + arch}
	}
	return nil
}

// builtFor tells the system, by the form of the program, and the processors that it is
// for; neither of a script.
func builtFor(head []byte, r io.ReaderAt, size int64) (form string, arches []string, err error) {
	switch {
	case bytes.HasPrefix(head, []byte("#!")):
		return "", nil, nil
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		f, err := elf.NewFile(r)
		if err != nil || slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return over(p.Off, p.Filesz, size) }) {
			return "", nil, cutShort()
		}
		return "linux", []string{elfArch(f)}, nil
	case bytes.HasPrefix(head, []byte("MZ")):
		f, err := pe.NewFile(r)
		if err != nil {
			return "", nil, cutShort()
		}
		return "windows", []string{peArch(f)}, nil
	case isMachO(head):
		if fat, err := macho.NewFatFile(r); err == nil {
			for _, a := range fat.Arches {
				arches = append(arches, machoArch(a.Cpu))
			}
			return "darwin", arches, nil
		}
		f, err := macho.NewFile(r)
		if err != nil {
			return "", nil, cutShort()
		}
		return "darwin", []string{machoArch(f.Cpu)}, nil
	default:
		return "", nil, &UnfitError{Verdict: VerdictNotExecutable, Reason: "the file is no program", Hint: "a plugin is an executable or a script that starts with #!"}
	}
}
