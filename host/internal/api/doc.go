// Package api serves jackfield.host.v1 over gRPC on a Unix socket: reads of the
// store, and the few things that a person may ask for. It owns the socket, the
// token, who may call, how errors read outside, and that no secret leaves. What
// it needs from the rest of the host are the small interfaces of deps.go; each
// noun of the protocol is served in the file of that name.
package api
