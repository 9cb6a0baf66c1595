// Package conformance holds any plugin program against the contract of plugins: it
// has a process started as the host would, works with it over the real wire, kills
// it, orphans it, and says of each rule whether it is kept. It knows no files and no
// supervisor: Options.Start brings the process.
package conformance
