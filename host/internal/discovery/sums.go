package discovery

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// sumLine is a line of SHA256SUMS.
type sumLine struct {
	digest string
	number int
}

// sumFault is what is wrong with SHA256SUMS, or with a file by it.
type sumFault struct {
	line int    // of SHA256SUMS; zero of a file that it does not list
	file string // that is not as it is listed; empty if the line itself is wrong
	err  error  // an *UnfitError
}

// checkSums compares the files of a package with its SHA256SUMS: each is listed, and
// each that is listed is there and whole. What is missing or differs may still be on
// its way; what is not listed is no part of the package and refuses it.
func checkSums(sums []byte, files []member) error {
	want, faults := parseSums(sums)
	if len(faults) > 0 {
		return faults[0].err
	}
	faults = compareSums(want, files)
	if len(faults) == 0 {
		return nil
	}
	waits := func(f sumFault) int { // what refuses the package first, then what is not there
		e, _ := errors.AsType[*UnfitError](f.err)
		switch {
		case e == nil || e.Verdict == VerdictBadPackage:
			return 0
		case slices.ContainsFunc(files, func(m member) bool { return m.path == f.file }):
			return 2
		default:
			return 1
		}
	}
	return slices.MinFunc(faults, func(a, b sumFault) int { return cmp.Compare(waits(a), waits(b)) }).err
}

// compareSums returns what is wrong with the files by what SHA256SUMS says.
func compareSums(want map[string]sumLine, files []member) (faults []sumFault) {
	want = maps.Clone(want)
	for _, m := range files {
		if m.about() {
			continue
		}
		line, listed := want[m.path]
		delete(want, m.path)
		switch {
		case !listed:
			faults = append(faults, sumFault{0, m.path, badPackage(fmt.Sprintf("%.240q is not listed in %s", m.path, sumsFile), "remove it, or list it")})
		case line.digest != m.digest:
			faults = append(faults, sumFault{line.number, m.path, &UnfitError{Verdict: VerdictIncomplete, Reason: fmt.Sprintf("%.240q is not what %s says", m.path, sumsFile), Hint: "copy the package again"}})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		faults = append(faults, sumFault{want[name].number, name, &UnfitError{Verdict: VerdictIncomplete, Reason: fmt.Sprintf("%.240q is listed in %s and not there", name, sumsFile), Hint: "copy the package again"}})
	}
	return faults
}

// parseSums reads lines of sha256sum: a digest, two spaces or a space and a star, and a
// path. A last line without its end may be cut short.
func parseSums(body []byte) (want map[string]sumLine, faults []sumFault) {
	want = map[string]sumLine{}
	if len(body) == 0 || body[len(body)-1] != '\n' {
		return want, []sumFault{{1 + bytes.Count(body, []byte("\n")), "", &UnfitError{Verdict: VerdictIncomplete, Reason: sumsFile + " is cut short", Hint: "copy the package again"}}}
	}
	lines := bufio.NewScanner(bytes.NewReader(body))
	n := 0
	for lines.Scan() {
		n++
		digest, rest, _ := strings.Cut(lines.Text(), " ")
		name := strings.TrimPrefix(strings.TrimPrefix(rest, " "), "*")
		name = strings.TrimPrefix(name, "./")
		_, twice := want[name]
		if !validDigest(digest) || !goodPath(name) || twice {
			faults = append(faults, sumFault{n, "", badPackage(fmt.Sprintf("%s:%d: %.80q is no digest and path, or the second of a path", sumsFile, n, lines.Text()), "make it with sha256sum")})
			continue
		}
		want[name] = sumLine{digest, n}
	}
	if err := lines.Err(); err != nil {
		faults = append(faults, sumFault{n + 1, "", badPackage(sumsFile+": "+err.Error(), "make it with sha256sum")})
	}
	return want, faults
}
