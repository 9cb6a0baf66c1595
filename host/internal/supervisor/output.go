package supervisor

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// What one process may log.
const (
	linesPerSecond = 500
	lineBurst      = 5000
	stderrLines    = 200      // kept for the report of a crash
	maxStack       = 16 << 10 // of a panic's text
	maxDump        = 64 << 10 // of the goroutines that a stuck process prints
)

// output takes what one process writes: it reads on for ever, logs what is
// within bounds, and remembers the last lines for the report of a crash.
type output struct {
	plugin  string
	tenant  string // whose process it is; empty if it is everybody's
	version string
	log     hclog.Logger
	book    *logbook
	redact  func(string) string
	now     func() time.Time

	mu      sync.Mutex // guards what follows
	pid     int
	tokens  float64
	filled  time.Time // when tokens were counted last
	dropped int
	tail    ring[string]
	stack   []string // lines of a panic, which ends the process
	inPanic bool
	size    int // of stack in bytes
	most    int // of size
}

func newOutput(b Binary, opts Options, book *logbook) *output {
	return &output{
		plugin:  b.Name,
		tenant:  b.Tenant,
		version: b.Version,
		log:     opts.Log.Named("plugin").With("plugin", b.Name, "version", b.Version),
		book:    book,
		redact:  opts.Redact,
		now:     opts.Now,
		tokens:  lineBurst,
		filled:  opts.Now(),
		tail:    ring[string]{size: stderrLines},
	}
}

// started tells the pid that lines are marked with.
func (o *output) started(pid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pid = pid
}

// stderr takes a line of the process's log.
func (o *output) stderr(raw []byte, cut int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !bytes.HasPrefix(raw, []byte("{")) && o.panicked(raw) {
		return
	}
	level, message, fields := parseLine(raw, cut)
	o.tail.add(o.redact(clean(message, 1<<10)))
	o.write(level, message, fields)
}

// stdout takes a line that belongs to nothing: a plugin has no use for it.
func (o *output) stdout(raw []byte, cut int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	level, message, fields := parseLine(raw, cut)
	if fields == nil {
		fields = map[string]string{}
	}
	fields["stream"] = "stdout"
	o.write(level, message, fields)
}

// say takes a line that the plugin had the host write.
func (o *output) say(level hclog.Level, message string, fields map[string]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.write(level, message, fields)
}

// panicked collects the text of a panic, of which each line is a line of the log.
func (o *output) panicked(raw []byte) bool {
	if !o.inPanic {
		for begin, most := range map[string]int{"panic: ": maxStack, "fatal error: ": maxStack, "SIGQUIT: quit": maxDump} {
			if bytes.HasPrefix(raw, []byte(begin)) {
				o.inPanic, o.most = true, most
			}
		}
		if !o.inPanic {
			return false
		}
	}
	if o.size < o.most {
		line := o.redact(clean(string(raw), maxValue))
		o.stack = append(o.stack, line)
		o.size += len(line) + 1
	}
	return true
}

// ended reports what is left when the process is gone: the panic as one event, with
// how the process ended and what it was busy with, and how many lines were dropped.
func (o *output) ended(how string, doing []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.stack) > 0 {
		o.tail.add(o.stack[0])
		o.tokens = max(o.tokens, 1)
		o.emit(hclog.Error, o.stack[0], map[string]string{
			"stack": strings.Join(o.stack, "\n"), "process": how, "busy_with": strings.Join(doing, ", "),
		})
	}
	o.reportDropped()
}

// write logs a line if the process has not used up its share.
func (o *output) write(level hclog.Level, message string, fields map[string]string) {
	now := o.now()
	o.tokens = min(lineBurst, o.tokens+now.Sub(o.filled).Seconds()*linesPerSecond)
	o.filled = now
	if o.tokens < 1 {
		o.dropped++
		return
	}
	o.tokens--
	o.reportDropped()
	message = o.redact(message)
	for key, value := range fields {
		fields[key] = o.redact(value)
	}
	o.emit(level, message, fields)
}

func (o *output) reportDropped() {
	if o.dropped == 0 {
		return
	}
	n := o.dropped
	o.dropped = 0
	o.emit(hclog.Warn, fmt.Sprintf("dropped %d lines: more than %d a second", n, linesPerSecond), nil)
}

func (o *output) emit(level hclog.Level, message string, fields map[string]string) {
	if o.tenant != "" {
		if fields == nil {
			fields = map[string]string{}
		}
		fields["tenant"] = o.tenant // whatever it says itself
	}
	o.book.write(Line{Time: o.now(), Level: level.String(), Message: message, Fields: fields, Version: o.version, PID: o.pid})
	args := make([]any, 0, 2*len(fields)+2)
	args = append(args, "pid", o.pid)
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		args = append(args, key, fields[key])
	}
	o.log.Log(level, message, args...)
}

// lastLines returns up to n of the last lines on stderr, or of the panic.
func (o *output) lastLines(n int) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.stack) > 0 {
		return slices.Clone(o.stack[:min(n, len(o.stack))])
	}
	return o.tail.last(n)
}

// panicLine is the first line of the panic, if there was one.
func (o *output) panicLine() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.stack) == 0 {
		return ""
	}
	return o.stack[0]
}

// lineWriter hands what is written to it over by lines. It is for what go-plugin
// carries of a plugin's standard streams.
type lineWriter struct {
	each func(line []byte, cut int)
	buf  []byte // the line so far
	cut  int
}

// Write never fails.
func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, ends := bytes.Cut(rest, []byte{'\n'})
		room := min(len(line), maxLine-len(w.buf))
		w.buf = append(w.buf, line[:room]...)
		w.cut += len(line) - room
		if ends {
			w.each(trimEnd(w.buf), w.cut)
			w.buf, w.cut = w.buf[:0], 0
		}
		rest = after
	}
	return len(p), nil
}
