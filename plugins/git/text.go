package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// decodeText returns the UTF-8 of bytes in the encoding that a commit names.
func decodeText(s, encoding string) string {
	switch strings.ToLower(encoding) {
	case "iso-8859-1", "iso8859-1", "latin1", "latin-1":
		if utf8.ValidString(s) {
			return s // said latin1, wrote UTF-8: a common lie
		}
		out := make([]rune, 0, len(s))
		for i := range len(s) {
			out = append(out, rune(s[i]))
		}
		return string(out)
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// line makes s fit for one line of at most limit bytes: no control characters,
// which could drive a terminal.
func line(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	return cut(strings.TrimSpace(s), limit)
}

// block is line for several lines.
func block(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
	return cut(strings.TrimSpace(s), limit)
}

// cut shortens s to at most limit bytes, at the start of a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}
