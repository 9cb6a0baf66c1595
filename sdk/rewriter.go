package sdk

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// rewriter writes src to dst in canonical form.
type rewriter struct {
	src     []byte
	pos     int
	dst     []byte
	members []span // of the objects that are open
	scratch []byte
}

// span is where a member stands in dst, and where its quoted name ends.
type span struct{ start, name, end int }

func (r *rewriter) invalid() error { return fmt.Errorf("invalid JSON at byte %d", r.pos) }

func (r *rewriter) space() {
	for r.pos < len(r.src) {
		switch r.src[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

// take steps over c and the space after it.
func (r *rewriter) take(c byte) bool {
	if r.pos >= len(r.src) || r.src[r.pos] != c {
		return false
	}
	r.pos++
	r.space()
	return true
}

func (r *rewriter) value(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("JSON nests deeper than %d", maxDepth)
	}
	if r.pos >= len(r.src) {
		return r.invalid()
	}
	switch r.src[r.pos] {
	case '"':
		return r.text()
	case '{':
		return r.object(depth)
	case '[':
		return r.array(depth)
	}
	next := scalar(r.src, r.pos)
	if next == r.pos {
		return r.invalid()
	}
	r.dst = append(r.dst, r.src[r.pos:next]...)
	r.pos = next
	return nil
}

func (r *rewriter) array(depth int) error {
	r.take('[')
	r.dst = append(r.dst, '[')
	for first := true; ; first = false {
		if first && r.closes(']') {
			return nil
		}
		if err := r.value(depth + 1); err != nil {
			return err
		}
		r.space()
		if r.closes(']') {
			return nil
		}
		if !r.take(',') {
			return r.invalid()
		}
		r.dst = append(r.dst, ',')
	}
}

// closes steps over c and copies it. The space after it is left.
func (r *rewriter) closes(c byte) bool {
	if r.pos >= len(r.src) || r.src[r.pos] != c {
		return false
	}
	r.pos++
	r.dst = append(r.dst, c)
	return true
}

func (r *rewriter) object(depth int) error {
	r.take('{')
	r.dst = append(r.dst, '{')
	base := len(r.members)
	if r.closes('}') {
		return nil
	}
	for {
		if r.pos >= len(r.src) || r.src[r.pos] != '"' {
			return r.invalid()
		}
		m := span{start: len(r.dst)}
		if err := r.text(); err != nil {
			return err
		}
		m.name = len(r.dst)
		r.space()
		if !r.take(':') {
			return r.invalid()
		}
		r.dst = append(r.dst, ':')
		if err := r.value(depth + 1); err != nil {
			return err
		}
		m.end = len(r.dst)
		r.members = append(r.members, m)
		r.space()
		if r.pos < len(r.src) && r.src[r.pos] == '}' {
			r.pos++
			break
		}
		if !r.take(',') {
			return r.invalid()
		}
		r.dst = append(r.dst, ',')
	}
	r.sort(r.members[base:])
	r.members = r.members[:base]
	r.dst = append(r.dst, '}')
	return nil
}

// sort puts the members of the object that dst ends with in order.
func (r *rewriter) sort(members []span) {
	name := func(m span) []byte { return r.dst[m.start+1 : m.name-1] }
	order := func(a, b span) int { return bytes.Compare(name(a), name(b)) }
	sorted := true
	for i := 1; i < len(members) && sorted; i++ {
		sorted = order(members[i-1], members[i]) < 0 // the same name twice is not in order
	}
	if sorted {
		return
	}
	start := members[0].start
	slices.SortStableFunc(members, order)
	r.scratch = r.scratch[:0]
	for i, m := range members {
		if i+1 < len(members) && order(m, members[i+1]) == 0 {
			continue
		}
		if len(r.scratch) > 0 {
			r.scratch = append(r.scratch, ',')
		}
		r.scratch = append(r.scratch, r.dst[m.start:m.end]...)
	}
	r.dst = append(r.dst[:start], r.scratch...)
}

func (r *rewriter) text() error {
	r.pos++
	r.dst = append(r.dst, '"')
	for r.pos < len(r.src) {
		c := r.src[r.pos]
		switch {
		case c == '"':
			r.pos++
			r.dst = append(r.dst, '"')
			return nil
		case c == '\\':
			if !r.escape() {
				return r.invalid()
			}
		case c < ' ':
			return r.invalid()
		case c < utf8.RuneSelf:
			r.pos++
			r.dst = append(r.dst, c)
		default:
			char, n := utf8.DecodeRune(r.src[r.pos:])
			r.pos += n
			r.dst = utf8.AppendRune(r.dst, char) // U+FFFD for what is no UTF-8
		}
	}
	return r.invalid()
}

func (r *rewriter) escape() bool {
	if r.pos+1 >= len(r.src) {
		return false
	}
	c := r.src[r.pos+1]
	switch c {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		r.pos += 2
		r.dst = append(r.dst, '\\', c)
		return true
	case '/':
		r.pos += 2
		r.dst = append(r.dst, '/')
		return true
	case 'u':
		char, ok := hex4(r.src[r.pos+2:])
		if !ok {
			return false
		}
		r.pos += 6
		if utf16.IsSurrogate(char) {
			char = r.pair(char)
		}
		r.char(char)
		return true
	default:
		return false
	}
}

// pair joins the surrogate high with the one that follows, if there is one.
func (r *rewriter) pair(high rune) rune {
	if rest := r.src[r.pos:]; len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
		if low, ok := hex4(rest[2:]); ok {
			if char := utf16.DecodeRune(high, low); char != utf8.RuneError {
				r.pos += 6
				return char
			}
		}
	}
	return utf8.RuneError
}

func (r *rewriter) char(char rune) {
	if char < ' ' || char == '"' || char == '\\' {
		if short := shortEscape(char); short != 0 {
			r.dst = append(r.dst, '\\', short)
			return
		}
		r.dst = fmt.Appendf(r.dst, `\u%04x`, char)
		return
	}
	r.dst = utf8.AppendRune(r.dst, char)
}
