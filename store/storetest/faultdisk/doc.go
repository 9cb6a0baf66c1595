// Package faultdisk is a disk for tests: a file system in memory, mounted through
// FUSE, that loses its power, fills up, answers with errors or becomes slow when a
// test says so. It knows what was synced and what was not: after a cut the test
// gets files in a state that POSIX allows, with everything synced in it and of the
// rest what a seed decides.
//
// Programs use it as they use any directory. They should not be the process that
// serves it: a page that this process maps from its own disk can stop it for good.
package faultdisk
