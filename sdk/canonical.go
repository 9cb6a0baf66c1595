package sdk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"
)

// maxDepth bounds how deep JSON may nest.
const maxDepth = 1000

// Canonical returns raw, which is any JSON value, in its one canonical form:
// members of objects sorted by the bytes of their names, no spaces, as few
// escapes in strings as JSON allows, numbers as they were given. Of members with
// the same name the last one stays. It returns raw itself, without an
// allocation, when there is nothing to change.
func Canonical(raw []byte) ([]byte, error) {
	if next, ok := canonicalValue(raw, 0, 0); ok && next == len(raw) {
		return raw, nil
	}
	r := rewriter{src: raw, dst: make([]byte, 0, len(raw))}
	r.space()
	if err := r.value(0); err != nil {
		return nil, err
	}
	r.space()
	if r.pos != len(raw) {
		return nil, r.invalid()
	}
	return r.dst, nil
}

// Marshal returns v as canonical JSON.
func Marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return Canonical(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}

// canonicalValue reports whether a canonical value stands at i, and what follows
// it. False may also mean that the JSON is not valid: the rewriter finds out.
func canonicalValue(b []byte, i, depth int) (int, bool) {
	if i >= len(b) || depth > maxDepth {
		return 0, false
	}
	switch b[i] {
	case '"':
		return canonicalString(b, i)
	case '{':
		return canonicalObject(b, i, depth)
	case '[':
		return canonicalArray(b, i, depth)
	default:
		next := scalar(b, i)
		return next, next > i
	}
}

func canonicalObject(b []byte, i, depth int) (int, bool) {
	if i++; i < len(b) && b[i] == '}' {
		return i + 1, true
	}
	var last []byte
	for {
		if i >= len(b) || b[i] != '"' {
			return 0, false
		}
		next, ok := canonicalString(b, i)
		if !ok || next >= len(b) || b[next] != ':' {
			return 0, false
		}
		name := b[i+1 : next-1]
		if last != nil && bytes.Compare(last, name) >= 0 {
			return 0, false
		}
		last = name
		if i, ok = canonicalValue(b, next+1, depth+1); !ok || i >= len(b) {
			return 0, false
		}
		switch b[i] {
		case ',':
			i++
		case '}':
			return i + 1, true
		default:
			return 0, false
		}
	}
}

func canonicalArray(b []byte, i, depth int) (int, bool) {
	if i++; i < len(b) && b[i] == ']' {
		return i + 1, true
	}
	for {
		var ok bool
		if i, ok = canonicalValue(b, i, depth+1); !ok || i >= len(b) {
			return 0, false
		}
		switch b[i] {
		case ',':
			i++
		case ']':
			return i + 1, true
		default:
			return 0, false
		}
	}
}

func canonicalString(b []byte, i int) (int, bool) {
	start, high := i+1, byte(0)
	for i = start; i < len(b); i++ {
		for i+8 <= len(b) && plain(binary.LittleEndian.Uint64(b[i:])) { // most of what there is
			i += 8
		}
		if i == len(b) {
			break
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, high < utf8.RuneSelf || utf8.Valid(b[start:i])
		case c == '\\':
			n := canonicalEscape(b[i:])
			if n == 0 {
				return 0, false
			}
			i += n - 1
		case c < ' ':
			return 0, false
		default:
			high |= c
		}
	}
	return 0, false
}

// plain reports whether eight bytes are ASCII without a quote, a backslash or a
// control character.
func plain(w uint64) bool {
	const (
		ones = 0x0101010101010101
		tops = 0x8080808080808080
	)
	quote, slash := w^(ones*'"'), w^(ones*'\\')
	return (w|(w-ones*' ')|(quote-ones)|(slash-ones))&tops == 0
}

// canonicalEscape returns the length of the escape that b starts with, 0 if it
// is not the shortest way to write its character.
func canonicalEscape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		c, ok := hex4(b[2:])
		if !ok || c >= ' ' || shortEscape(c) != 0 || b[5] >= 'A' && b[5] <= 'F' {
			return 0
		}
		return 6
	default:
		return 0
	}
}

// shortEscape returns the letter of the two-byte escape of c, 0 if there is none.
func shortEscape(c rune) byte {
	switch c {
	case '"':
		return '"'
	case '\\':
		return '\\'
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	default:
		return 0
	}
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// scalar returns what follows the literal or number at i, and i itself if there
// is none.
func scalar(b []byte, i int) int {
	for _, word := range [...]string{"true", "false", "null"} {
		if b[i] == word[0] && len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
			return i + len(word)
		}
	}
	start := i
	if b[i] == '-' {
		i++
	}
	whole := digits(b, i)
	if whole == i || b[i] == '0' && whole > i+1 {
		return start
	}
	if i = whole; i < len(b) && b[i] == '.' {
		fraction := digits(b, i+1)
		if fraction == i+1 {
			return start
		}
		i = fraction
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exponent := digits(b, i)
		if exponent == i {
			return start
		}
		i = exponent
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}
