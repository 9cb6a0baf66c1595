// Package sandbox keeps the processes of plugins from what is not theirs. On Linux the
// kernel holds it: Landlock for files, signals, abstract sockets and TCP; a filter of
// system calls for every other way out; limits of memory and open files; a control
// group where one is delegated to the host. The process gives up its rights in package
// launcher, before the plugin's first instruction.
//
// The package owns what a process may reach (Policy) and how much of that this system
// can hold (Verdict). It knows nothing of plugins but their programs.
package sandbox
