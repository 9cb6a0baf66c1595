package main

import (
	"bytes"
	"math"
)

// maxSteps bounds the search for the shortest edit of one file. Beyond it the
// lines that may have moved count as replaced.
const maxSteps = 4 << 20

// diffLines returns how many lines the shortest edit from a to b inserts and
// deletes. It needs the length of the edit only, so it keeps no trace of it.
func diffLines(a, b []byte) (insertions, deletions int) {
	a, b = trimBytes(a, b)
	if len(a) == 0 || len(b) == 0 {
		return countLines(b), countLines(a)
	}
	x, y := numberLines(a, b)
	x, y = trim(x, y)
	// A line that only one side has is in no common sequence.
	inX, inY := map[int32]bool{}, map[int32]bool{}
	for _, l := range x {
		inX[l] = true
	}
	for _, l := range y {
		inY[l] = true
	}
	left, right := only(x, inY), only(y, inX)
	gone, added := len(x)-len(left), len(y)-len(right)
	left, right = trim(left, right)
	edits, ok := distance(left, right, maxSteps)
	if !ok {
		edits = len(left) + len(right)
	}
	common := (len(left) + len(right) - edits) / 2
	return added + len(right) - common, gone + len(left) - common
}

// trimBytes takes off whole lines that start or end both; most edits leave
// little after that.
func trimBytes(a, b []byte) (left, right []byte) {
	n, shorter := 0, min(len(a), len(b))
	for n < shorter && a[n] == b[n] {
		n++
	}
	n = bytes.LastIndexByte(a[:n], '\n') + 1
	a, b, shorter = a[n:], b[n:], shorter-n
	n = 0
	for n < shorter && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	if i := bytes.IndexByte(a[len(a)-n:], '\n'); i >= 0 {
		n -= i + 1
		a, b = a[:len(a)-n], b[:len(b)-n]
	}
	return a, b
}

func countLines(b []byte) int {
	n := bytes.Count(b, []byte{'\n'})
	if len(b) > 0 && b[len(b)-1] != '\n' {
		n++
	}
	return n
}

// numberLines gives each different line a number. A last line without its
// newline differs from the same with one.
func numberLines(a, b []byte) (x, y []int32) {
	numbers := make(map[string]int32, countLines(a))
	number := func(text []byte) []int32 {
		out := make([]int32, 0, countLines(text))
		for l := range bytes.Lines(text) {
			n, ok := numbers[string(l)]
			if !ok {
				n = int32(len(numbers)) //nolint:gosec // a file has at most 1 MiB
				numbers[string(l)] = n
			}
			out = append(out, n)
		}
		return out
	}
	return number(a), number(b)
}

// trim takes off the common start and end.
func trim(x, y []int32) (left, right []int32) {
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	return x, y
}

func only(x []int32, in map[int32]bool) []int32 {
	out := make([]int32, 0, len(x))
	for _, l := range x {
		if in[l] {
			out = append(out, l)
		}
	}
	return out
}

// distance returns the length of the shortest edit from x to y, by the greedy
// algorithm of Myers; false if that takes more steps than allowed.
func distance(x, y []int32, steps int) (int, bool) {
	n, m := len(x), len(y)
	// far[k+offset] is how far x is used on diagonal k.
	longest := min(n+m, int(math.Sqrt(float64(2*steps)))+1)
	offset := longest + 1
	far := make([]int, 2*offset+1)
	for d := range longest + 1 {
		for k := -d; k <= d; k += 2 {
			i := far[offset+k-1] + 1
			if k == -d || k != d && far[offset+k-1] < far[offset+k+1] {
				i = far[offset+k+1]
			}
			for j := i - k; i < n && j < m && x[i] == y[j]; j++ {
				i++
			}
			far[offset+k] = i
			if i >= n && i-k >= m {
				return d, true
			}
			if steps--; steps < 0 {
				return 0, false
			}
		}
	}
	return 0, false
}
