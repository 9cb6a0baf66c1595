//go:build !linux

package main

// dropProgram does nothing: other systems are not told.
func dropProgram() {}
