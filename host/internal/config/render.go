package config

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	blue   = "\x1b[1;34m"
	plain  = "\x1b[0m"
)

// Render writes the problems as a person reads them: code and message, the place,
// the line with a caret, and what to do. Color is for terminals.
func (p Problems) Render(w io.Writer, color bool) error {
	if len(p) == 0 {
		return nil
	}
	_, err := io.WriteString(w, p.Text(color)+"\n")
	return err
}

func (p Problems) write(b *strings.Builder, color bool) {
	paint := func(c, s string) string {
		if !color {
			return s
		}
		return c + s + plain
	}
	for i, q := range p {
		if i > 0 {
			b.WriteByte('\n')
		}
		c := red
		if q.Severity == SeverityWarning {
			c = yellow
		}
		fmt.Fprintf(b, "%s: %s\n", paint(c, string(q.Severity)+"["+q.Code+"]"), printable(q.Message))
		margin := ""
		if q.File != "" {
			fmt.Fprintf(b, "  %s %s\n", paint(blue, "-->"), printable(q.place()))
		}
		if q.Source != "" && q.Line > 0 {
			number := fmt.Sprintf("%2d", q.Line)
			margin = strings.Repeat(" ", len(number))
			fmt.Fprintf(b, "%s %s\n", paint(blue, number+" |"), q.Source)
			fmt.Fprintf(b, "%s %s%s\n", paint(blue, margin+" |"), strings.Repeat(" ", max(cmp.Or(q.Caret, q.Col), 1)-1), paint(c, "^"))
		}
		if q.Help != "" {
			if margin == "" {
				margin = "  "
			}
			fmt.Fprintf(b, "%s help: %s\n", paint(blue, margin+" ="), printable(q.Help))
		}
	}
}

// place returns file:line:col, as far as they are known.
func (p Problem) place() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
	}
}

// printable returns s without what would move a terminal's cursor.
func printable(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) && r != ' ' }
