package conformance

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// mostLines bounds what is kept of what a program prints.
const mostLines = 20_000

// Line is a line that a process printed.
type Line struct {
	Stdout    bool // stderr otherwise
	Handshake bool // it has the form of one
	Text      string
	Cut       int // bytes of it that are left out
}

// lines are what all processes of a test printed.
type lines struct {
	mu    sync.Mutex // guards what follows
	all   []Line
	after chan struct{} // closed when a call was seen to outlive its cancelling
	late  bool
}

func (l *lines) add(line Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) < mostLines {
		l.all = append(l.all, line)
	}
	if !l.late && strings.Contains(line.Text, sdk.MessageOvertime) {
		l.late = true
		if l.after != nil {
			close(l.after)
		}
	}
}

func (l *lines) take() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// overtime reports whether a call outlives its cancelling, and waits to see it.
func (l *lines) overtime(wait time.Duration) bool {
	l.mu.Lock()
	if l.late {
		l.mu.Unlock()
		return true
	}
	if l.after == nil {
		l.after = make(chan struct{})
	}
	after := l.after
	l.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-after:
		return true
	case <-timer.C:
		return false
	}
}

// badLog says what is wrong with a line of stderr. Plain text is fine.
func badLog(l Line) []string {
	if l.Cut > 0 {
		return []string{fmt.Sprintf("a line has %d bytes, %d are read", len(l.Text)+l.Cut, len(l.Text))}
	}
	if !strings.HasPrefix(l.Text, "{") {
		return nil
	}
	var fields map[string]any
	if json.Unmarshal([]byte(l.Text), &fields) != nil {
		return nil // text that begins so
	}
	var bad []string
	for _, name := range []string{"@level", "@message", "@timestamp"} {
		if value, there := fields[name]; there {
			if _, ok := value.(string); !ok {
				bad = append(bad, fmt.Sprintf("a JSON line has a %s that is no string", name))
			}
		} else {
			bad = append(bad, fmt.Sprintf("a JSON line has no %s", name))
		}
	}
	return bad
}

func hides(text string, needles [][]byte) bool {
	for _, n := range needles {
		if strings.Contains(text, string(n)) {
			return true
		}
	}
	return false
}

// clip is text without secrets: a report is shown to everybody.
func clip(text string, needles [][]byte) string {
	for _, n := range needles {
		text = strings.ReplaceAll(text, string(n), "***")
	}
	return text
}
