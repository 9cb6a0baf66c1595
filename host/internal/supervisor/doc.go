// Package supervisor runs plugins as processes: it starts them from verified
// copies, watches them, restarts them after a crash with a growing delay,
// replaces one version by another without failing a call, and lends out their
// instances.
//
// What a plugin does cannot harm the host: its output is read to the end but
// kept within bounds, every call, start and stop has a deadline, and a process
// dies with its whole group and with the host. hashicorp/go-plugin speaks to
// the process; a Runner of our own starts, reads and ends it.
package supervisor
