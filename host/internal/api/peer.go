package api

import (
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// peerInfo is the process at the other end of a connection, as the kernel tells.
type peerInfo struct {
	known    bool
	pid, uid int
}

// AuthType names the kind of knowledge.
func (peerInfo) AuthType() string { return "peercred" }

// peerCredentials are those of a Unix socket: no encryption, but the kernel says
// who is there.
type peerCredentials struct {
	credentials.TransportCredentials
}

func newPeerCredentials() peerCredentials { return peerCredentials{insecure.NewCredentials()} }

// ServerHandshake asks the kernel who connected.
func (peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	known := conn
	if s, ok := conn.(*seated); ok {
		known = s.UnixConn
	}
	return conn, peerOfConn(known), nil
}

// Clone returns a copy.
func (c peerCredentials) Clone() credentials.TransportCredentials {
	return peerCredentials{c.TransportCredentials.Clone()}
}
