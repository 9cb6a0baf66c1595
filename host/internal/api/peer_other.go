//go:build !linux

package api

import (
	"net"
	"slices"
)

func peerOfConn(net.Conn) peerInfo { return peerInfo{} }

// Descends returns a function that reports whether a process is one of those
// that pids returns. Here it cannot tell of descendants: the API does not know its
// peers on this system.
func Descends(pids func() []int) func(pid int) bool {
	return func(pid int) bool { return slices.Contains(pids(), pid) }
}
