package telemetry

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ticksPerSecond is what the kernel counts processors' time in for programs; it
// is the same on every architecture that Go knows.
const ticksPerSecond = 100

// The places of /proc/PID/stat behind the name, which may hold anything.
const (
	fieldUser   = 11
	fieldSystem = 12
	fieldPages  = 21
)

// readUsage reads /proc/PID/stat.
func readUsage(pid string) (memory int64, cpu time.Duration) {
	raw, err := os.ReadFile(filepath.Join("/proc", pid, "stat")) //nolint:gosec // pid is a number
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	if len(fields) <= fieldPages {
		return 0, 0
	}
	var n [3]int64
	for i, at := range []int{fieldUser, fieldSystem, fieldPages} {
		if n[i], err = strconv.ParseInt(string(fields[at]), 10, 64); err != nil {
			return 0, 0
		}
	}
	return n[2] * int64(os.Getpagesize()), time.Duration(n[0]+n[1]) * time.Second / ticksPerSecond
}
