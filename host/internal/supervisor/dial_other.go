//go:build !linux

package supervisor

import "net"

// pinSocket returns the address: nothing better leads to a socket here.
func pinSocket(address string) (path string, done func(), err error) {
	return address, func() {}, nil
}

// listens cannot tell who listens here.
func listens(net.Conn, int) error { return nil }
