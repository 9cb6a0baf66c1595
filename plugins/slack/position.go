package main

import (
	"time"

	"github.com/jackfield/jackfield/sdk"
)

const (
	// recent is how far back every run looks for first replies and edits.
	recent = 24 * time.Hour
	// deepEvery is how often a run looks back for the whole age of threads.
	deepEvery = 24 * time.Hour
	// clockMargin covers the difference of the host's clock and Slack's.
	clockMargin = 10 * time.Minute
)

// position is the cursor of a channel.
//
// Slack shows a new reply in its thread only; of the message that it answers, the
// history tells the time of the latest reply. So a run reads the history again
// from some time before the last run: a day each time, the whole age of threads
// once a day, which is a deep look. Both are counted from the last run that did
// so, not from now; a daemon that was down for long leaves no gap.
//
// The history is the channel's stream, its threads are others, and those may fail
// when the cursor has moved already. So a deep look counts only when its run has
// processed everything; the next one starts from the last that counts.
type position struct {
	Newest string    `json:"newest"`         // the newest message
	Looked time.Time `json:"looked"`         // start of the last run
	Deep   time.Time `json:"deep,omitzero"`  // start of the last deep look that counts
	Tried  time.Time `json:"tried,omitzero"` // start of the last deep look
}

// window is what a run reads of a channel. It follows from the run and the
// cursor alone, so that each page of the stream has the same.
type window struct {
	oldest  string    // history after this; everything if empty
	latest  string    // and before this. Without it, Slack would give the oldest page first
	replied time.Time // threads with a reply since then; every thread if zero
	after   position  // the cursor when the window has been read, but for the newest message
}

// newWindow returns the window of a run; from is nil for a channel that was
// never read, or that a forced run reads anew.
func newWindow(run sdk.Run, from *position, age time.Duration) window {
	at := run.StartedAt
	w := window{latest: formatTS(at.Add(clockMargin)), after: position{Looked: at, Tried: at}}
	if from == nil {
		return w
	}
	done, ok := run.Watermarks[connectorChannels]
	w.after = position{Newest: from.Newest, Looked: at, Deep: from.Deep, Tried: from.Tried}
	if ok && done.Truncate(time.Millisecond).Equal(from.Tried.Truncate(time.Millisecond)) {
		w.after.Deep = from.Tried
	}
	base, back := from.Looked, recent
	if at.Sub(from.Tried) >= deepEvery {
		w.after.Tried = at
		base, back = w.after.Deep, age
		w.replied = base
		// Runs that never end well do not make the window grow for ever.
		if bound := from.Looked.Add(-age); base.Before(bound) {
			base = bound
		}
	} else if ok {
		// A thread that failed and is recent is tried again by the next run.
		w.replied = base
		if done.Before(base) {
			w.replied = done
		}
	}
	if !w.replied.IsZero() {
		w.replied = w.replied.Add(-clockMargin)
	}
	w.oldest = formatTS(base.Add(-back - clockMargin))
	if later(w.oldest, from.Newest) {
		w.oldest = from.Newest
	}
	return w
}

// replies reports whether a thread with this latest reply is to be read.
func (w window) replies(latest string) bool {
	at, ok := parseTS(latest)
	return !ok || !at.Before(w.replied)
}

// end is the position when the window has been read up to newest.
func (w window) end(newest string) position {
	p := w.after
	if later(newest, p.Newest) {
		p.Newest = newest
	}
	return p
}
