package main

import (
	"os"
	"os/exec"
)

// immortal serves from a child that has a parent and an open stdin for as long as it
// lives, so that it does not learn that its host is gone. It reports whether this
// process is the parent.
func immortal() bool {
	const asChild = "JACKFIELD_MUTANT_CHILD"
	if os.Getenv(asChild) != "" {
		return false
	}
	self, err := os.Executable()
	if err != nil {
		return false
	}
	child := exec.Command(self) //nolint:noctx,gosec // it shall not end
	child.Args[0] = os.Args[0]
	child.Env = append(os.Environ(), asChild+"=1")
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if _, err := child.StdinPipe(); err != nil {
		return false
	}
	_ = child.Run() // until both are killed
	return true
}
