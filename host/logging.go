package main

import (
	"io"

	"github.com/hashicorp/go-hclog"
)

// newLogger returns the daemon's logger. Known secrets are taken out of every
// line, whoever wrote it.
func newLogger(out io.Writer, level, format string, redact func(string) string) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name:       "jackfield",
		Level:      hclog.LevelFromString(level),
		Output:     redacting{out, redact},
		JSONFormat: format == "json",
		TimeFormat: "2006-01-02T15:04:05.000Z07:00",
	})
}

// redacting takes secrets out of lines. hclog writes a line with one Write.
type redacting struct {
	out    io.Writer
	redact func(string) string
}

// Write implements io.Writer.
func (r redacting) Write(line []byte) (int, error) {
	if _, err := io.WriteString(r.out, r.redact(string(line))); err != nil {
		return 0, err
	}
	return len(line), nil
}
