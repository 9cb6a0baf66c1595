package main

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// dropProgram gives back the pages of the program's own file that are mapped: most of
// them were needed once, at the start, or came along with a neighbour, and the system
// counts them as the daemon's until it is told. They stay in its cache of files: what is
// used again is mapped again, without a read. Where this cannot be done it is not.
func dropProgram() {
	if self, err := os.Readlink("/proc/self/exe"); err == nil {
		dropFile(self)
	}
}

// dropFile gives back the mapped pages of a file that nobody here can have changed.
func dropFile(path string) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range bytes.Lines(maps) { // from-to rights offset device inode path
		f := bytes.Fields(line)
		if len(f) < 6 || string(bytes.Join(f[5:], []byte(" "))) != path || bytes.ContainsRune(f[1], 'w') {
			continue
		}
		first, last, _ := bytes.Cut(f[0], []byte("-"))
		from, errFrom := strconv.ParseUint(string(first), 16, 64)
		to, errTo := strconv.ParseUint(string(last), 16, 64)
		if errFrom == nil && errTo == nil {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_DONTNEED)
		}
	}
}
