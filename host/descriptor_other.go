//go:build !linux && !darwin

package main

// descriptorLimit cannot tell on this system.
func descriptorLimit() int { return 0 }

// openDescriptors cannot tell on this system.
func openDescriptors() (int, error) { return 0, nil }
