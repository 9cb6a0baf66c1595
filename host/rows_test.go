package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRowsAreExplained holds ROWS.md to the tree: what a test cites is there, once,
// with a sentence.
func TestRowsAreExplained(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("ROWS.md")
	require.NoError(t, err)
	explained := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([A-Z]\d{2}) \| (.*) \|$`).FindAllStringSubmatch(string(text), -1) {
		require.False(t, explained[m[1]], "row %s stands there twice", m[1])
		require.Regexp(t, `^[A-Z].{15,}\.$`, m[2], "row %s has no sentence", m[1])
		explained[m[1]] = true
	}
	cited := citedRows(t, "..")
	require.Greater(t, len(cited), 100, "the tests were not found")
	for row, file := range cited {
		require.True(t, explained[row], "%s cites row %s, which host/ROWS.md does not explain", file, row)
	}
}

// TestEachHazardHasATestOrAReason holds ROWS.md to the hazards that are known: one
// without a test says why.
func TestEachHazardHasATestOrAReason(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("ROWS.md")
	require.NoError(t, err)
	cited := citedRows(t, "..")
	for n := range 35 {
		row := fmt.Sprintf("H%02d", n+1)
		line := regexp.MustCompile(`(?m)^\| ` + row + ` \| .*$`).FindString(string(text))
		require.NotEmpty(t, line, "%s is not in ROWS.md", row)
		_, ok := cited[row]
		require.True(t, ok || strings.Contains(line, "No test: "), "%s has no test, and ROWS.md does not say why", row)
	}
}

// citedRows returns the rows that comments and names of tests below dir cite, each
// with a file that does. It looks line by line: all the text at once is slow.
func citedRows(t *testing.T, dir string) map[string]string {
	t.Helper()
	var (
		defect = regexp.MustCompile(`^func Test(D\d{2})|t\.Run\("(D\d{2}) `)
		row    = regexp.MustCompile(`^[A-Z]\d{2}$`)
		cited  = map[string]string{}
	)
	eachFile(t, dir, ".go", func(path, text string) {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if rows, ok := strings.CutPrefix(line, "// rows: "); ok {
				for name := range strings.SplitSeq(rows, ", ") {
					require.Regexp(t, row, name, "%s: a comment that cites rows names them alone: %q", path, line)
					cited[name] = path
				}
			}
			if strings.HasPrefix(line, "func TestD") || strings.Contains(line, `t.Run("D`) {
				if m := defect.FindStringSubmatch(line); m != nil {
					cited[m[1]+m[2]] = path
				}
			}
		}
	})
	return cited
}

// TestThreatModelNamesTestsThatThereAre holds THREAT-MODEL.md to the tree.
func TestThreatModelNamesTestsThatThereAre(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("THREAT-MODEL.md")
	require.NoError(t, err)
	there := map[string]bool{}
	eachFile(t, "..", "_test.go", func(_, text string) {
		for line := range strings.Lines(text) {
			if name, ok := strings.CutPrefix(line, "func "); ok {
				name, _, _ = strings.Cut(name, "(")
				there[name] = true
			}
		}
	})
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(string(text), -1)
	require.Greater(t, len(named), 20)
	for _, name := range named {
		require.True(t, there[name], "THREAT-MODEL.md names %s, which is no test", name)
	}
}

// eachFile reads the files below dir whose names end so, but what was built or is
// kept aside.
func eachFile(t *testing.T, dir, suffix string, do func(path, text string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || slices.Contains([]string{"bin", "node_modules"}, d.Name())):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, suffix):
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			do(path, string(text))
		}
		return err
	}))
}
