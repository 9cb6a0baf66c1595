// Command report reads what go test -json prints, shows it to a person, and counts
// the test cases. A test case is a test with a name of its own; a subtest belongs to
// its test. Of what passes only the packages' lines are shown, of what fails all it
// printed. It writes the count as "PASSED FAILED" into the file named by its first
// argument, into the second the failed test cases that deserve another try, and exits
// with 1 if a test, a package or a build failed.
package main

import (
	"fmt"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go test -json ./... | report COUNT AGAIN")
		os.Exit(2)
	}
	t := newTally(os.Stdout)
	err := t.read(os.Stdin)
	if err == nil {
		//nolint:gosec // the gate names the file
		err = os.WriteFile(os.Args[1], fmt.Appendf(nil, "%d %d\n", t.passed, t.failed), 0o600)
	}
	if err == nil {
		var lines strings.Builder
		for _, test := range t.again() {
			lines.WriteString(test + "\n")
		}
		//nolint:gosec // the gate names the file
		err = os.WriteFile(os.Args[2], []byte(lines.String()), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	t.closing()
	if t.failed > 0 {
		os.Exit(1)
	}
}
