// Package discovery finds plugins: it scans the plugin directory, says of every
// file in it what it is and why, and keeps verified copies of the approved ones
// in a store of its own, which is all that is ever executed. It executes
// nothing itself: plugins.lock says which digests may run, and a file is known
// by its SHA-256 alone.
//
// Events of the file system are hints. The truth is a full scan, done after an
// event, on a timer and on request.
package discovery
