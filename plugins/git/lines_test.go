package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDiffLines(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		a, b     string
		ins, del int
	}{
		"Same":           {"a\nb\n", "a\nb\n", 0, 0},
		"New":            {"", "a\nb\n", 2, 0},
		"Gone":           {"a\nb", "", 0, 2},
		"Changed":        {"a\nb\nc\n", "a\nx\nc\n", 1, 1},
		"NewlineAtEnd":   {"a\nb", "a\nb\n", 1, 1},
		"Moved":          {"a\nb\nc\n", "c\na\nb\n", 1, 1},
		"InTheMiddle":    {"a\nz\n", "a\nb\nc\nz\n", 2, 0},
		"AllDifferent":   {"a\nb\n", "c\nd\ne\n", 3, 2},
		"Repeated":       {"x\nx\nx\n", "x\nx\n", 0, 1},
		"CarriageReturn": {"a\r\nb\r\n", "a\nb\n", 2, 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ins, del := diffLines([]byte(c.a), []byte(c.b))
			require.Equal(t, []int{c.ins, c.del}, []int{ins, del})
		})
	}
}

// The shortest edit is what the longest common sequence leaves.
func TestDiffLinesIsShortest(t *testing.T) {
	t.Parallel()
	text := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 30), func(l []string) string {
		return strings.Join(l, "\n")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		x, y := numberLines([]byte(a), []byte(b))
		common := longest(x, y)
		ins, del := diffLines([]byte(a), []byte(b))
		require.Equal(t, len(y)-common, ins)
		require.Equal(t, len(x)-common, del)
	})
}

// longest returns the length of the longest common sequence, the slow way.
func longest(x, y []int32) int {
	row := make([]int, len(y)+1)
	for i := range x {
		corner := 0
		for j := range y {
			above := row[j+1]
			if x[i] == y[j] {
				row[j+1] = corner + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			corner = above
		}
	}
	return row[len(y)]
}

// Two large files with nothing in order still end soon, and the counts add up.
func TestDiffLinesIsBounded(t *testing.T) {
	t.Parallel()
	var a, b strings.Builder
	for i := range 200_000 {
		a.WriteString(string(rune('a'+i*7%26)) + "\n")
		b.WriteString(string(rune('a'+i*i%26)) + "\n")
	}
	ins, del := diffLines([]byte(a.String()), []byte(b.String()))
	require.Equal(t, ins, del)
	require.LessOrEqual(t, ins, 200_000)
	require.Positive(t, ins)
}
