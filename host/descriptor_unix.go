//go:build linux || darwin

package main

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// descriptorLimit returns how many files this process may have open at once, or 0
// if there is no limit. The runtime has raised the soft one to the hard one.
func descriptorLimit() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur > math.MaxInt32 {
		return 0
	}
	return int(l.Cur)
}

// openDescriptors returns how many files this process has open.
func openDescriptors() (int, error) {
	dir, err := os.Open("/dev/fd")
	if err != nil {
		return 0, err
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	return len(names), err
}
