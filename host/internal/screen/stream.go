package screen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// follow tells a page that its call changed, as server-sent events, until the session
// ends: the page reads itself again.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, o *session, _ Call) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		s.busy(w)
		return
	}
	if !o.enter(1) {
		s.busy(w)
		return
	}
	defer o.enter(-1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	changes, err := s.calls.Watch(ctx, o.scope)
	if err != nil {
		s.busy(w)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy is not to keep events
	e := &events{w: w, control: http.NewResponseController(w), patience: 2 * s.opts.Heartbeat}
	if e.send("changed", "") != nil { // what happened since the page was made
		return
	}
	s.pump(ctx, o, changes, e)
}

// pump sends events until there is nothing to follow any more.
func (s *Server) pump(ctx context.Context, o *session, changes <-chan struct{}, e *events) {
	beat := time.NewTicker(s.opts.Heartbeat)
	defer beat.Stop()
	for {
		name := ""
		select {
		case <-ctx.Done():
			return
		case <-s.stopping:
			return // the browser comes again
		case <-o.gone:
			_ = e.send("over", o.why)
			return
		case _, more := <-changes:
			if !more {
				return
			}
			name = "changed"
		case <-beat.C:
		}
		if is, why := s.ended(ctx, o); is {
			_ = e.send("over", why)
			return
		}
		if e.send(name, "") != nil {
			return
		}
	}
}

// ended reports whether a session's rights are over, and why in words for the agent,
// and ends it then.
func (s *Server) ended(ctx context.Context, o *session) (is bool, why string) {
	now := time.Now()
	call, err := s.calls.Call(ctx, o.scope)
	switch {
	case errors.Is(err, ErrMoved):
		why = movedText
	case !now.Before(o.until), s.mayEmbed(o.scope) != nil, errors.Is(err, ErrGone), err == nil && over(call, now):
	default:
		return false, ""
	}
	s.close(o, why)
	return true, why
}

// busy answers that there is no place to follow a call.
func (s *Server) busy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "5")
	http.Error(w, "too many screens follow their calls", http.StatusServiceUnavailable)
}

// events writes server-sent events.
type events struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // with a browser that does not read
}

// send writes an event, with why it came if that is to be said, or a sign of life if it
// has no name.
func (e *events) send(name, why string) error {
	text := ": alive\n\n"
	if name != "" {
		data, err := json.Marshal(map[string]string{"why": why})
		if err != nil {
			return err
		}
		text = "event: " + name + "\ndata: " + string(data) + "\n\n"
	}
	// The server's own bound is on a whole answer; it may be missing in tests.
	if err := e.control.SetWriteDeadline(time.Now().Add(e.patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := fmt.Fprint(e.w, text); err != nil {
		return err
	}
	return e.control.Flush()
}

// Run ends the streams when ctx ends, so that they hold up no stop, and returns then.
// It runs once.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	close(s.stopping)
	return nil
}
