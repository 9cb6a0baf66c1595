// Package launcher is the last thing that runs of this program in a process that
// becomes a plugin: it gives up rights, one after the other, and executes the
// program. It does so while the packages are initialized, before most of them are,
// because a start shall not wait for what the daemon needs. A program that imports it
// is one that can launch, a test too.
//
// It decides nothing: package sandbox does, in the host, and says it in a Spec.
package launcher
