package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// The colors of a terminal.
const (
	colorRed    = "31"
	colorGreen  = "32"
	colorYellow = "33"
	colorBold   = "1"
)

// isTerminal reports whether a person sees what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// color colors text for stderr, if a person sees it and wants that.
func (c *cli) color(code, text string) string {
	if c.noColor || !isTerminal(c.stderr) {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
