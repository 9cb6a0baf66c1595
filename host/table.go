package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// table collects what a person reads: rows under a head, or facts with names.
type table struct {
	c    *cli
	text strings.Builder
	rows *tabwriter.Writer
}

func newTable(c *cli) *table {
	t := &table{c: c}
	t.rows = tabwriter.NewWriter(&t.text, 0, 8, 2, ' ', 0)
	return t
}

// head starts a list of rows.
func (t *table) head(names ...string) { t.row(toAny(names)...) }

// row adds a line of cells.
func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = cellText(cell)
	}
	fmt.Fprintln(t.rows, strings.Join(texts, "\t"))
}

// fact adds a named value; one that is empty is left out.
func (t *table) fact(name string, value any) {
	if text := cellText(value); text != "-" {
		fmt.Fprintf(t.rows, "%s\t%s\n", name, text)
	}
}

// section starts a new part under a title.
func (t *table) section(title string) {
	t.end()
	fmt.Fprintf(&t.text, "\n%s\n", title)
}

// line adds a line of its own.
func (t *table) line(text string) {
	t.end()
	fmt.Fprintln(&t.text, cleanLines(strings.ReplaceAll(text, "\n", " ")))
}

func (t *table) end() {
	_ = t.rows.Flush() // into memory
	t.rows = tabwriter.NewWriter(&t.text, 0, 8, 2, ' ', 0)
}

// flush writes the table without the blanks that tabwriter leaves at line ends.
func (t *table) flush(w io.Writer) error {
	t.end()
	for line := range strings.Lines(t.text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// indented is a text that keeps the blanks at its beginning.
type indented string

// blank is a text that stays empty when it is, instead of a dash.
type blank string

func toAny(names []string) []any {
	out := make([]any, len(names))
	for i, n := range names {
		out[i] = n
	}
	return out
}

func cellText(v any) string {
	text := ""
	switch v := v.(type) {
	case blank:
		return clean(string(v))
	case indented:
		rest := strings.TrimLeft(string(v), " ")
		return strings.Repeat(" ", len(v)-len(rest)) + clean(rest)
	case string:
		text = v
	case []string:
		text = strings.Join(v, ", ")
	case *timestamppb.Timestamp:
		if v != nil {
			text = v.AsTime().Local().Format(time.DateTime)
		}
	case int64:
		return thousands(v)
	case uint32:
		return thousands(int64(v))
	case int32:
		return thousands(int64(v))
	case int:
		return thousands(int64(v))
	default:
		text = fmt.Sprint(v)
	}
	if text = clean(text); text == "" {
		return "-"
	}
	return text
}

// clean takes out what could move the cursor or break the table: much of the
// text comes from plugins and remote systems.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), !unicode.IsPrint(r) && !unicode.IsSpace(r):
			return '?'
		default:
			return r
		}
	}, s))
}

// cleanLines is clean for text whose lines matter.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRightFunc(strings.Map(func(r rune) rune {
			if r == '\t' {
				return ' '
			}
			if unicode.IsControl(r) {
				return '?'
			}
			return r
		}, line), unicode.IsSpace)
	}
	return strings.Join(lines, "\n")
}

// thousands writes 12040 as 12,040.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	var parts []string
	for len(digits) > 3 {
		parts = append(parts, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	parts = append(parts, digits)
	slices.Reverse(parts)
	return sign + strings.Join(parts, ",")
}

// counts writes a map of numbers as "active 3, parked 1", sorted by name.
func counts(m map[string]int64) string {
	names := make([]string, 0, len(m))
	for name, n := range m {
		if n != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = name + " " + thousands(m[name])
	}
	return strings.Join(parts, ", ")
}
