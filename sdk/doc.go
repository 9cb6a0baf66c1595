// Package sdk is what the author of a Jackfield plugin reads: the types that
// cross between a plugin and the host, and the small interfaces a plugin
// implements. It uses the standard library alone; package sdk/plugin puts it on
// the wire and package sdk/sdktest checks a plugin against its contract.
//
// A plugin is a function of settings and a stream to results. The host owns
// time, retries, limits, secrets and truth; it may kill a plugin at any instant
// and call it again from the last checkpoint. So a plugin keeps no state that
// matters: what must survive goes into a checkpoint, a cursor or the host's cache.
package sdk
