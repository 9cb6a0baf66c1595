package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action      string `json:"Action"`
	Package     string `json:"Package"`
	Test        string `json:"Test"`
	Output      string `json:"Output"`
	FailedBuild string `json:"FailedBuild"`
}

// tally counts events and keeps what the tests print until they end.
type tally struct {
	w              io.Writer
	passed, failed int
	printed        map[string]*strings.Builder // by package and test
	failures       map[string]int              // failed test cases by package
	builds         map[string]bool             // failed builds that were counted
	broken         bool                        // something failed that is no test's assertion
	missed         []string                    // failed test cases: package, name
	skipped        []string
}

func newTally(w io.Writer) *tally {
	return &tally{
		w:        w,
		printed:  map[string]*strings.Builder{},
		failures: map[string]int{},
		builds:   map[string]bool{},
	}
}

// read takes all events of r. A line that is no event is shown as it is.
func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			t.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
	}
}

func (t *tally) line(line []byte) {
	var e event
	if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprintf(t.w, "%s", line)
		return
	}
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.w, e.Output)
	case "output":
		t.output(e)
	case "pass", "skip":
		t.end(e)
	case "fail":
		t.fail(e)
	}
}

func (t *tally) output(e event) {
	key := e.Package + " " + e.Test
	if t.printed[key] == nil {
		t.printed[key] = &strings.Builder{}
	}
	t.printed[key].WriteString(e.Output)
}

// take returns what was printed under e's name and forgets it.
func (t *tally) take(e event) string {
	key := e.Package + " " + e.Test
	b := t.printed[key]
	delete(t.printed, key)
	if b == nil {
		return ""
	}
	return b.String()
}

func (t *tally) end(e event) {
	printed := t.take(e)
	switch {
	case e.Test == "":
		fmt.Fprint(t.w, lastLine(printed))
	case e.Action == "skip":
		t.skipped = append(t.skipped, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(printed)))
	case !strings.Contains(e.Test, "/"):
		t.passed++
	}
}

func (t *tally) fail(e event) {
	printed := t.take(e)
	fmt.Fprint(t.w, printed)
	t.broken = t.broken || grave(printed)
	switch {
	case e.Test != "":
		if !strings.Contains(e.Test, "/") {
			t.failed++
			t.failures[e.Package]++
			t.missed = append(t.missed, e.Package+" "+e.Test)
		}
	case e.FailedBuild != "": // one build may fail several packages
		t.broken = true
		if !t.builds[e.FailedBuild] {
			t.builds[e.FailedBuild] = true
			t.failed++
		}
	default:
		t.rest(e.Package)
		if t.failures[e.Package] == 0 { // a crash, a leak, a timeout
			t.failed++
			t.broken = true
		}
	}
}

// grave reports whether printed tells of what is never put down to a busy machine.
func grave(printed string) bool {
	for _, sign := range []string{"panic:", "DATA RACE", "race detected", "goleak", "fatal error:", "test timed out"} {
		if strings.Contains(printed, sign) {
			return true
		}
	}
	return false
}

// mostUnsteady is how many failed tests are tried again at most.
const mostUnsteady = 2

// again returns the failed test cases that deserve another try, each as its package
// and its name: a few whose assertions failed while nothing else was wrong.
func (t *tally) again() []string {
	if t.broken || len(t.missed) > mostUnsteady || t.failed != len(t.missed) {
		return nil
	}
	return t.missed
}

// rest shows what the tests printed that were cut off when their package crashed.
func (t *tally) rest(pkg string) {
	for key, b := range t.printed {
		if strings.HasPrefix(key, pkg+" ") {
			fmt.Fprint(t.w, b.String())
			t.broken = t.broken || grave(b.String())
			delete(t.printed, key)
		}
	}
}

// closing says what was not tested and why.
func (t *tally) closing() {
	if len(t.skipped) > 0 {
		fmt.Fprintf(t.w, "skipped:\n  %s\n", strings.Join(t.skipped, "\n  "))
	}
}

func lastLine(s string) string {
	s = strings.TrimSuffix(s, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:] + "\n"
}

// reason is the line that t.Skip printed.
func reason(printed string) string {
	for line := range strings.Lines(printed) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return "no reason given"
}
