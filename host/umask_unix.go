//go:build unix

package main

import "syscall"

// ownerOnly makes whatever this process and its plugins write from now on the
// owner's alone (L01).
func ownerOnly() { syscall.Umask(0o077) }
