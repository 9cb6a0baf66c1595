// Package web is the daemon's HTTP listener: /healthz and /readyz for who watches
// services, and what the host adds to it behind a bearer token. It listens beyond this
// machine with a certificate alone, answers to the names that it was given, and gives
// nobody more time, connections or memory than it has to spare.
package web
