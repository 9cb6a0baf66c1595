// Package egress is the way from here to remote systems. Its Guard connects to what
// is on the public Internet, and else only to what the operator grants: it looks at
// the address that a connection is made to, at the moment that it is made, so that
// neither a name, a redirect nor a second answer of DNS leads inside (E01). Its Proxy
// gives a plugin's process a way out to the hosts that it may reach (P09).
package egress
