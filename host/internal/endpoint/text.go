package endpoint

import (
	"fmt"
	"strings"
)

// text is a string with expressions in it.
type text struct{ parts []part }

// part is a piece of a text: a literal, or an expression.
type part struct {
	literal string
	expr    *expression
}

// piece is a part of a text that is not compiled yet.
type piece struct {
	text   string
	expr   bool
	offset int // in the whole text, in bytes
}

// split takes a text apart at {{ and }}. An expression may hold both in a string,
// and braces of its own.
func split(s string) ([]piece, error) {
	var out []piece
	at := 0
	for {
		i := strings.Index(s[at:], "{{")
		if i < 0 {
			if at < len(s) {
				out = append(out, piece{text: s[at:], offset: at})
			}
			return out, nil
		}
		if i > 0 {
			out = append(out, piece{text: s[at : at+i], offset: at})
		}
		begin := at + i + 2
		length := closing(s[begin:])
		if length < 0 {
			return nil, &exprError{message: "{{ has no }}", offset: at + i}
		}
		out = append(out, piece{text: s[begin : begin+length], expr: true, offset: begin})
		at = begin + length + 2
	}
}

// closing returns where the }} is that ends the expression which s begins with, or
// -1.
func closing(s string) int {
	depth := 0
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0 && c == '\\' && quote != '`':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == '}' && i+1 < len(s) && s[i+1] == '}':
			return i
		}
	}
	return -1
}

// only returns the expression that is the whole of the text, or nil.
func (x text) only() *expression {
	if len(x.parts) == 1 {
		return x.parts[0].expr
	}
	return nil
}

// secret reports whether a secret goes into the text.
func (x text) secret() bool {
	for _, p := range x.parts {
		if p.expr != nil && p.expr.secret {
			return true
		}
	}
	return false
}

// value returns what the text is: what its only expression gives, or a string.
// Missing is nil: an expression that gives nothing makes the whole text nothing.
func (x text) value(s scope) (any, error) {
	if e := x.only(); e != nil {
		return e.eval(s)
	}
	v, missing, err := x.render(s, asIs)
	if err != nil || missing != "" {
		return nil, err
	}
	return v.real, nil
}

// twin is a string as it is sent, and as it may be shown.
type twin struct{ real, shown string }

func (t *twin) add(real, shown string) {
	t.real += real
	t.shown += shown
}

// render returns the text with its values escaped, and the source of the first
// expression that gave nothing, if one did.
func (x text) render(s scope, escape func(string) (string, error)) (out twin, missing string, err error) {
	for _, p := range x.parts {
		if p.expr == nil {
			out.add(p.literal, p.literal)
			continue
		}
		v, err := p.expr.eval(s)
		if err != nil {
			return twin{}, "", err
		}
		if v == nil {
			missing = orFirst(missing, p.expr.source)
			continue
		}
		real, err := escape(stringOf(v))
		if err != nil {
			return twin{}, "", fmt.Errorf("{{ %s }}: %w", p.expr.source, err)
		}
		if p.expr.secret {
			out.add(real, masked)
			continue
		}
		out.add(real, real)
	}
	return out, missing, nil
}

func asIs(s string) (string, error) { return s, nil }

func orFirst(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
