// Command release tells what is in the programs of a folder and whether it is that.
//
//	release write DIR     writes beside each program what it is made of (NAME.cdx.json, CycloneDX),
//	                      and the SHA-256 of every file into SHA256SUMS
//	release check DIR     exits with 1 if a file is not what SHA256SUMS says, is missing or is
//	                      there besides, or if a list is not that of its program
//	release same A B      exits with 1 if the programs of two folders, which were built in different
//	                      places, differ in a byte, or tell where they were built
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "write":
		return write(args[1], stdout)
	case len(args) == 2 && args[0] == "check":
		return check(args[1], stdout)
	case len(args) >= 3 && args[0] == "same":
		return same(args[1], args[2], args[3:], stdout)
	default:
		return errors.New("usage: release write DIR | check DIR | same A B [PLACE...]")
	}
}
