// Package identity makes the members of each tenant of the member records of its
// integrations (K06). Sources that share an account which the remote system
// vouches for are one member, whose id is that of its smallest source. So the
// members follow from the records alone, whatever order these came in.
package identity
