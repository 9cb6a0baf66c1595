package config

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/host/internal/secret"
)

// maxExcerpt is how many characters of a line are shown.
const maxExcerpt = 120

// mask is a stretch of the file that is never shown, since it may be a secret:
// from a place on line first to before column end on line last; end 0 is the end
// of that line.
type mask struct {
	first, col int
	last, end  int
}

// maskAll hides every value: the file could not be parsed, so nothing is known of
// what is a secret.
func (s *source) maskAll() { s.masks = append(s.masks, mask{}) }

// hide masks every scalar in n: it may hold a secret.
func (s *source) hide(n *yaml.Node) {
	switch n.Kind {
	case yaml.AliasNode: // its name is shown, the anchor's value is masked where it stands
		s.hide(n.Alias)
	case yaml.ScalarNode:
		s.masks = append(s.masks, s.extent(n))
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			s.hide(n.Content[i])
		}
	default:
		for _, c := range n.Content {
			s.hide(c)
		}
	}
}

// extent returns where a scalar stands. Where its end cannot be told, it goes on
// to the next node.
func (s *source) extent(n *yaml.Node) mask {
	m := mask{first: n.Line, col: n.Column, last: n.Line}
	line := []rune(s.line(n.Line))
	if rest := string(line[min(max(n.Column-1, 0), len(line)):]); n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 {
		switch {
		case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
			m.end = n.Column + closing(rest)
		case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && strings.HasPrefix(rest, n.Value):
			m.end = n.Column + len([]rune(n.Value))
		}
		if m.end > n.Column {
			return m
		}
	}
	m.last, m.end = len(s.lines()), 0
	starts := s.starts()
	i, _ := slices.BinarySearchFunc(starts, start{n.Line, n.Column + 1}, start.compare)
	if i < len(starts) {
		m.last, m.end = starts[i].line, starts[i].col
	}
	return m
}

// start is where a node begins.
type start struct{ line, col int }

func (a start) compare(b start) int {
	return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.col, b.col))
}

// closing returns how many characters a quoted scalar at the start of s has with
// its quotes, or 0 if it does not end on the line.
func closing(s string) int {
	r := []rune(s)
	if len(r) < 2 || r[0] != '"' && r[0] != '\'' {
		return 0
	}
	for i := 1; i < len(r); i++ {
		switch {
		case r[0] == '"' && r[i] == '\\':
			i++
		case r[i] == r[0] && r[0] == '\'' && i+1 < len(r) && r[i+1] == '\'':
			i++
		case r[i] == r[0]:
			return i + 1
		}
	}
	return 0
}

// excerpt returns a line with its masked stretches as ***, without a comment
// behind them, and where col is in it.
func (s *source) excerpt(n, col int) (string, int) {
	if slices.Contains(s.masks, mask{}) {
		return s.keyOnly(n, col)
	}
	var cuts []mask
	for _, m := range s.masks {
		if m.first <= n && n <= m.last {
			cuts = append(cuts, m)
		}
	}
	slices.SortFunc(cuts, func(a, b mask) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.col, b.col)) })
	line, out, at, caret := []rune(strings.TrimRight(s.line(n), "\r \t")), []rune(nil), 0, 0
	copyTo := func(to int) {
		to = min(max(to, at), len(line))
		if caret == 0 && col-1 >= at && col-1 < to {
			caret = len(out) + col - at
		}
		out = append(out, line[at:to]...)
		at = to
	}
	for _, m := range cuts {
		from, to := 0, len(line)
		if m.first == n {
			from = m.col - 1
		}
		if m.last == n && m.end > 0 {
			to = min(m.end-1, len(line))
			if m.first < n && strings.TrimSpace(string(line[:to])) == "" {
				continue // indentation of what follows
			}
		}
		if from < at { // overlaps the mask before
			at = max(at, min(to, len(line)))
			continue
		}
		copyTo(from)
		if caret == 0 && col-1 >= from && col-1 < to {
			caret = len(out) + 1
		}
		out = append(out, []rune(secret.Redacted)...)
		at = min(to, len(line))
	}
	if comment := slices.Index(line[at:], '#'); len(cuts) > 0 && comment >= 0 {
		line = line[:at+comment]
	}
	copyTo(len(line))
	if caret == 0 {
		caret = len(out) + 1
	}
	return window(out, caret)
}

// keyOnly returns the key of a line that could not be parsed, and *** for what
// follows it.
func (s *source) keyOnly(n, col int) (string, int) {
	line := strings.TrimRight(s.line(n), "\r \t")
	key := regexp.MustCompile(`^\s*(- )?\s*[A-Za-z_][A-Za-z0-9_.-]{0,62}:( |$)`).FindString(line)
	if key == "" {
		return "", 0
	}
	shown := key
	if len(line) > len(key) {
		shown += secret.Redacted
	}
	return window([]rune(shown), min(col, len([]rune(key))+1))
}

// window cuts a long line to the part around the caret.
func window(line []rune, caret int) (string, int) {
	caret = max(caret, 1)
	if len(line) > maxExcerpt {
		from := max(0, min(caret-maxExcerpt/2, len(line)-maxExcerpt))
		line = line[from:min(from+maxExcerpt, len(line))]
		caret -= from
	}
	return printable(strings.TrimRight(strings.ReplaceAll(string(line), "\t", " "), " ")), caret
}
