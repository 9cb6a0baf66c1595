// Package telemetry counts what the daemon does and tells it in the format of
// Prometheus. Nothing that a plugin or a remote system says becomes a label: labels
// are names of plugins that an operator approved, names of the protocol and states,
// so that the number of series is bounded whatever happens. What is counted on the
// way of records is counted a segment or a call at a time.
//
// It also makes spans of runs, claims, calls and segments, and sends them to a
// collector if somebody wants them.
package telemetry
