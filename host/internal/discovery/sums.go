package discovery

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// checkSums compares the files of a package with its SHA256SUMS: each is listed, and
// each that is listed is there and whole. What is missing or differs may still be on
// its way; what is not listed is no part of the package and refuses it.
func checkSums(sums []byte, files []member) error {
	want, err := parseSums(sums)
	if err != nil {
		return err
	}
	var partial error
	for _, m := range files {
		if m.about() {
			continue
		}
		digest, listed := want[m.path]
		delete(want, m.path)
		switch {
		case !listed:
			return badPackage(fmt.Sprintf("%.240q is not listed in %s", m.path, sumsFile), "remove it, or list it")
		case digest != m.digest && partial == nil:
			partial = &UnfitError{Verdict: VerdictIncomplete, Reason: fmt.Sprintf("%.240q is not what %s says", m.path, sumsFile), Hint: "copy the package again"}
		}
	}
	for name := range want {
		return &UnfitError{Verdict: VerdictIncomplete, Reason: fmt.Sprintf("%.240q is listed in %s and not there", name, sumsFile), Hint: "copy the package again"}
	}
	return partial
}

// parseSums reads lines of sha256sum: a digest, two spaces or a space and a star, and a
// path. A last line without its end may be cut short.
func parseSums(body []byte) (map[string]string, error) {
	want := map[string]string{}
	if len(body) == 0 || body[len(body)-1] != '\n' {
		return nil, &UnfitError{Verdict: VerdictIncomplete, Reason: sumsFile + " is cut short", Hint: "copy the package again"}
	}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for n := 1; lines.Scan(); n++ {
		digest, rest, _ := strings.Cut(lines.Text(), " ")
		name := strings.TrimPrefix(strings.TrimPrefix(rest, " "), "*")
		name = strings.TrimPrefix(name, "./")
		_, twice := want[name]
		if !validDigest(digest) || !goodPath(name) || twice {
			return nil, badPackage(fmt.Sprintf("%s:%d: %.80q is no digest and path, or the second of a path", sumsFile, n, lines.Text()), "make it with sha256sum")
		}
		want[name] = digest
	}
	if err := lines.Err(); err != nil {
		return nil, badPackage(sumsFile+": "+err.Error(), "make it with sha256sum")
	}
	return want, nil
}
