package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// why says in one sentence what a run waits for, or why it ended so.
func (s *runService) why(ctx context.Context, r store.Run, troubled []store.Stream) (string, error) {
	text, err := s.cause(ctx, r, troubled)
	if err == nil && stuck(r) {
		text = "it makes no progress since " + r.StuckSince.UTC().Format(time.RFC3339) + " and is worked on anew; " + text
	}
	return text, err
}

// stuck reports whether the run was helped on and has made no progress since.
func stuck(r store.Run) bool { return !r.State.Terminal() && !r.StuckSince.IsZero() }

// cause is why of a run that is not stuck.
func (s *runService) cause(ctx context.Context, r store.Run, troubled []store.Stream) (string, error) {
	if !r.State.Terminal() {
		if held, err := s.whyHeld(ctx, r); err != nil || held != "" {
			return held, err
		}
	}
	if !r.State.Terminal() && r.Streams.Processing == 0 && r.Streams.Delayed+r.Streams.Pending > 0 && r.DelayReason == "" {
		if open, err := s.whyOpen(ctx, r); err != nil || open != "" {
			return open, err
		}
	}
	switch r.State {
	case store.RunPending:
		return s.whyPending(ctx, r)
	case store.RunProcessing:
		return whyProcessing(r, troubled), nil
	case store.RunDelayed:
		return s.whyDelayed(ctx, r, troubled)
	case store.RunProcessed:
		return fmt.Sprintf("every stream is processed (%d)", r.Streams.Total()), nil
	case store.RunPartial, store.RunError:
		return whyFailed(r, troubled), nil
	default:
		if r.Failure != nil {
			return r.Failure.Message, nil
		}
		return "", nil
	}
}

// whyHeld says that the integration itself cannot go on, in whatever state its
// run is; empty if it can.
func (s *runService) whyHeld(ctx context.Context, r store.Run) (string, error) {
	if config := s.deps.Config.Status(ctx); config.Paused {
		return "waits: the host is paused (hint: paused: false in " + config.File + ")", nil
	}
	in, err := s.deps.Store.IntegrationByName(ctx, r.Tenant, r.Integration)
	switch {
	case errors.Is(err, store.ErrNotFound): // renamed between two reads
		return "", nil
	case err != nil:
		return "", err
	case in.Finishing: // it goes on to its end
		return "", nil
	case in.State != store.IntegrationActive && in.State != store.IntegrationError: // one that fails goes on being tried
		return fmt.Sprintf("waits: the integration is %s: %s", in.State, in.Reason), nil
	default:
		return "", nil
	}
}

// whyOpen says that the run waits for a remote system that does not answer; empty if
// it does not.
func (s *runService) whyOpen(ctx context.Context, r store.Run) (string, error) {
	list, err := s.deps.Store.Circuits(ctx, r.IntegrationID)
	if err != nil || len(list) == 0 {
		return "", err
	}
	c := list[0]
	next := "next probe at " + c.Until.UTC().Format(time.RFC3339)
	if c.Probing {
		next = "a probe is under way"
	}
	return fmt.Sprintf("waits: circuit of %s is open since %s, %s: %s",
		c.Host, c.OpenedAt.UTC().Format(time.RFC3339), next, s.opts.Redact(c.Message)), nil
}

func (s *runService) whyPending(ctx context.Context, r store.Run) (string, error) {
	other, err := s.otherRun(ctx, r)
	if err != nil {
		return "", err
	}
	if other != 0 {
		return fmt.Sprintf("waits for run %d of the same integration", other), nil
	}
	return "waits for its turn", nil
}

// otherRun returns the run that the integration works on; 0 for none.
func (s *runService) otherRun(ctx context.Context, r store.Run) (int64, error) {
	list, err := s.deps.Store.Runs(ctx, store.RunFilter{IntegrationID: r.IntegrationID, State: store.RunProcessing, Limit: 2})
	if err != nil {
		return 0, err
	}
	for _, other := range list {
		if other.ID != r.ID {
			return other.ID, nil
		}
	}
	return 0, nil
}

func whyProcessing(r store.Run, troubled []store.Stream) string {
	switch {
	case r.PlannedAt.IsZero() && r.Streams.Total() == 0:
		return "the plugin is asked which streams there are"
	case r.Streams.Processing == 0 && r.Streams.Pending == 0 && r.Streams.Delayed > 0:
		return "waits for streams" + untilText(firstDue(troubled)) + causeText(troubled)
	default:
		return fmt.Sprintf("%d streams are worked on, %d are queued, %d wait", r.Streams.Processing, r.Streams.Pending, r.Streams.Delayed)
	}
}

func (s *runService) whyDelayed(ctx context.Context, r store.Run, troubled []store.Stream) (string, error) {
	other, err := s.otherRun(ctx, r)
	if err != nil {
		return "", err
	}
	if other != 0 {
		return fmt.Sprintf("waits for run %d of the same integration, which goes first", other), nil
	}
	until := r.DelayedUntil
	if until.IsZero() {
		until = firstDue(troubled)
	}
	if r.DelayReason != "" {
		return "waits" + untilText(until) + ": " + r.DelayReason, nil
	}
	return "waits" + untilText(until) + causeText(troubled), nil
}

func whyFailed(r store.Run, troubled []store.Stream) string {
	failure := r.Failure
	for _, st := range troubled {
		if failure == nil && st.State == store.StreamError {
			failure = st.Failure
		}
	}
	text := "the run failed"
	if failure != nil && failure.Point == "limit" {
		return "the run ended early: " + failure.Message
	}
	if r.Streams.Error > 0 {
		text = fmt.Sprintf("%d of %d streams failed", r.Streams.Error, r.Streams.Total())
	}
	if failure != nil {
		text += ": " + failure.Message
	}
	return text
}

func firstDue(streams []store.Stream) time.Time {
	var first time.Time
	for _, st := range streams {
		if st.State == store.StreamDelayed && (first.IsZero() || st.DueAt.Before(first)) {
			first = st.DueAt
		}
	}
	return first
}

func untilText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " until " + t.UTC().Format(time.RFC3339)
}

func causeText(streams []store.Stream) string {
	for _, st := range streams {
		if st.State == store.StreamDelayed && st.Failure != nil {
			return ": " + st.Failure.Message
		}
	}
	return ""
}

// nextAttempt returns when the next of a run's streams that wait is tried; the zero
// time if that has come, or none waits.
func (s *runService) nextAttempt(ctx context.Context, r store.Run) (time.Time, error) {
	if r.State.Terminal() || r.State == store.RunPending {
		return time.Time{}, nil
	}
	at, ok, err := s.deps.Store.NextStreamDue(ctx, r.ID)
	if err != nil || !ok || !at.After(s.opts.Now()) {
		return time.Time{}, err
	}
	return at, nil
}

// nextCommand returns what to type next; empty if there is nothing to do.
func nextCommand(r store.Run) string {
	id, name := idText(r.ID), r.Tenant+"/"+r.Integration
	switch r.State {
	case store.RunProcessed:
		return ""
	case store.RunCancelled:
		return "jackfield integration sync " + name
	case store.RunPartial, store.RunError:
		if f := r.Failure; f != nil && (f.Class == "config" || f.Class == "auth") {
			return "jackfield integration check " + name + ", then: jackfield run continue " + id
		}
		return "jackfield run continue " + id
	default:
		return "jackfield run watch " + id
	}
}
