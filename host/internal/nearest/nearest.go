// Package nearest finds what was probably meant by a word that is not known: an
// option, a key of a file, the name of an endpoint.
package nearest

import (
	"fmt"
	"slices"
	"strings"
)

const (
	longest = 64 // a longer word was not mistyped, it is something else
	few     = 16 // as many words a reader still looks through
)

// Advice returns a hint that names the known word nearest to word, or all of them if
// they are few, or nothing. Upper and lower case count as the same.
func Advice(word string, known []string) string {
	best, least := "", 1+max(1, min(3, len(word)/3))
	for _, k := range known {
		if d := Distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if len(known) == 0 || len(known) > few {
		return ""
	}
	return "known are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// Distance returns how many bytes have to be added, dropped, replaced or swapped with
// their neighbor to make b of a. Of a word above 64 bytes it returns the longer
// length without a look.
func Distance(a, b string) int {
	if len(a) > longest || len(b) > longest {
		return max(len(a), len(b))
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
