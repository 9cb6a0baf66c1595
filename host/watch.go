package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// watch follows a run until it has ended and returns what became of it. It shows
// the progress on stderr, and lives through a restart of the daemon that takes no
// longer than --timeout. each, if not nil, is given every change.
func (c *cli) watch(ctx context.Context, d *daemon, id string, each func(*hostv1.WatchRunResponse) error) (*hostv1.Run, error) {
	p := c.newProgress()
	defer p.end()
	var last *hostv1.Run
	lost := time.Time{}
	for {
		run, err := c.watchOnce(ctx, d, id, func(resp *hostv1.WatchRunResponse) error {
			last, lost = resp.GetRun(), time.Time{}
			p.show(progressText(last))
			if each == nil {
				return nil
			}
			return each(resp)
		})
		if err == nil {
			return run, nil
		}
		if ctx.Err() != nil {
			p.end()
			c.tell("the run goes on. Watch: jackfield run watch %s", id)
			return nil, err
		}
		if status.Code(err) != codes.Unavailable || last == nil {
			return nil, err
		}
		if lost.IsZero() {
			lost = time.Now()
			p.show("the daemon is away; waiting for it")
		}
		if time.Since(lost) > c.timeout {
			return nil, err
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

func (c *cli) watchOnce(ctx context.Context, d *daemon, id string, each func(*hostv1.WatchRunResponse) error) (*hostv1.Run, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := hostv1.NewRunServiceClient(d).WatchRun(ctx, &hostv1.WatchRunRequest{Id: id})
	if err != nil {
		return nil, err
	}
	var last *hostv1.Run
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if last == nil || !terminalRun(last) {
				return nil, status.Error(codes.Unavailable, errRunGone.Error())
			}
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		last = resp.GetRun()
		if err := each(resp); err != nil {
			return nil, err
		}
	}
}

func terminalRun(r *hostv1.Run) bool {
	switch r.GetState() {
	case "processed", "partial", "error", "cancelled":
		return true
	default:
		return false
	}
}

// pause waits, or returns why it cannot.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func progressText(r *hostv1.Run) string {
	s := r.GetStreams()
	parts := []string{fmt.Sprintf("run %s %s %s: %s", r.GetId(), r.GetIntegration(), r.GetKind(), r.GetState())}
	if s.GetTotal() > 0 {
		parts = append(parts, "streams "+streamsText(s))
	}
	records := "records " + thousands(r.GetStats().GetRead())
	if ms := r.GetDurationMs(); ms >= 1000 && r.GetStats().GetRead() > 0 {
		records += fmt.Sprintf(" (%s/s)", thousands(r.GetStats().GetRead()*1000/ms))
	}
	parts = append(parts, records)
	if until := r.GetDelayedUntil(); r.GetState() == "delayed" && until != nil {
		parts = append(parts, "waits until "+until.AsTime().Local().Format(time.TimeOnly))
	}
	return strings.Join(parts, "  ")
}

func streamsText(s *hostv1.StreamCounts) string {
	return counts(map[string]int64{
		"done": s.GetProcessed(), "running": s.GetProcessing(), "queued": s.GetPending(),
		"waiting": s.GetDelayed(), "failed": s.GetError(), "cancelled": s.GetCancelled(),
	})
}

// progress shows one line that changes on a terminal, and elsewhere a line now
// and then.
type progress struct {
	w       io.Writer
	draw    bool
	quiet   bool
	width   int // of what is drawn
	shownAt time.Time
}

// plainEvery is the time between lines where nothing can be drawn over.
const plainEvery = 10 * time.Second

func (c *cli) newProgress() *progress {
	return &progress{w: c.stderr, quiet: c.quiet, draw: isTerminal(c.stderr) && c.getenv("TERM") != "dumb", shownAt: time.Now()}
}

func (p *progress) show(text string) {
	text = clean(text)
	switch {
	case p.quiet:
	case p.draw:
		pad := max(0, p.width-len(text))
		fmt.Fprintf(p.w, "\r%s%s", text, strings.Repeat(" ", pad))
		p.width = len(text)
	case time.Since(p.shownAt) >= plainEvery:
		fmt.Fprintln(p.w, text)
		p.shownAt = time.Now()
	}
}

// end leaves the cursor on a line of its own.
func (p *progress) end() {
	if p.draw && p.width > 0 {
		fmt.Fprintln(p.w)
		p.width = 0
	}
}
