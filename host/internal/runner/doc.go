// Package runner works a lane: it picks the run to go on with, claims its due
// streams, calls the plugin for each, and applies what comes back segment by
// segment under the lane's fence. It owns retries, deadlines, back-pressure and
// what a call may ask of the host.
package runner
