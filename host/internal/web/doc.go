// Package web is the daemon's HTTP listener: /healthz and /readyz for who watches
// services, and what the host adds to it behind a bearer token. It listens on this
// machine alone, answers to the names of this machine alone, and gives nobody more
// time, connections or memory than it has to spare.
package web
