package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// move writes the stream's row: one segment further, and what the end of the call
// made of it.
func (a *apply) move(ctx context.Context, t *tx, s *streamRow, n store.RunStats, history []byte) error {
	checkpoint := blob(a.seg.Checkpoint)
	if a.wentWell() { // the next page starts at its beginning
		checkpoint = nil
	}
	query := advanceQuery
	if a.seg.Replays {
		query = replayQuery
	}
	args := []any{
		a.seg.StreamID, s.claim, s.seq, checkpoint, t.ms,
		n.Read, n.Added, n.Updated, n.Deleted, n.Unchanged, n.Stale, n.Warnings,
	}
	if a.seg.End != nil {
		query = endQuery
		next, err := a.nextRow(t, s)
		if err != nil {
			return err
		}
		args = append(args, next...)
		if a.seg.End.NextPage != nil {
			query = turnQuery
			args = append(args, a.seg.End.NextPage, history)
		}
	}
	moved, err := t.exec(ctx, query, args...)
	if err == nil && moved != 1 {
		err = store.ErrStale
	}
	if err != nil {
		return fmt.Errorf("move stream: %w", err)
	}
	return nil
}

// moveSet is common to all segments. Only the end of a call names the state and
// the time, on which indexes depend.
const (
	moveSet = `
	UPDATE streams
	SET    seq = seq + 1, checkpoint = $4, updated_at = $5, read = read + $6, added = added + $7, updated = updated + $8,
	       deleted = deleted + $9, unchanged = unchanged + $10, stale = stale + $11, warnings = warnings + $12`
	endSet = moveSet + `,
	       state = $13, pages = $14, attempts = $15, interrupts = $16, due_at = coalesce($17, due_at),
	       last_record = coalesce($18, last_record), last_record_at = coalesce($19, last_record_at),
	       failure = CASE WHEN $20 = 1 THEN failure ELSE $21 END, processed_at = $22,
	       crashes = CASE WHEN $23 = 1 THEN crashes + $24 ELSE 0 END, began = CASE WHEN $23 = 1 THEN coalesce($25, began) END`
	moveWhere = `
	WHERE  id = $1 AND state = 'processing' AND claim = $2 AND seq = $3`

	advanceQuery = moveSet + `, attempts = 0, interrupts = 0, crashes = 0` + moveWhere
	endQuery     = endSet + moveWhere
	replayQuery  = moveSet + moveWhere                                     // what was there before is no progress
	turnQuery    = endSet + `, page = $26, page_history = $27` + moveWhere // to the next page
)

// nextRow returns the values of endSet that moveSet does not have.
func (a *apply) nextRow(t *tx, s *streamRow) ([]any, error) {
	var (
		e          = a.seg.End
		due        any
		processed  any
		failed     any
		keepFailed = true
		pages      = s.pages
		attempts   = s.attempts
		interrupts = s.interrupts
	)
	if e.Answered && interrupts > 0 {
		interrupts--
	}
	if e.Attempt {
		attempts++
	}
	if e.Failure != nil {
		var err error
		if failed, err = encodeFailure(e.Failure); err != nil {
			return nil, err
		}
		keepFailed = false
	}
	if a.wentWell() { // progress
		pages, attempts, interrupts, keepFailed = s.pages+1, 0, 0, false
	}
	switch e.State {
	case store.StreamProcessed:
		processed = t.ms
	case store.StreamPending, store.StreamDelayed:
		due = dueAt(e.DueAt, t)
	}
	return []any{
		string(e.State), pages, attempts, interrupts, due, text(e.LastRecord), millis(e.LastRecordAt), flag(keepFailed), failed, processed,
		flag(!a.wentWell()), flag(e.Crash), blob(e.Began),
	}, nil
}

// wentWell reports whether the segment ends a page, or the stream with its last.
func (a *apply) wentWell() bool {
	e := a.seg.End
	return e != nil && (e.NextPage != nil || e.State == store.StreamProcessed)
}

// dueAt returns when a stream is due again, as it is kept: not so far ahead that
// it would count as a jump of the clock.
func dueAt(at time.Time, t *tx) int64 {
	if at.IsZero() || at.Before(t.now) {
		return t.ms
	}
	return min(at.UnixMilli(), t.ms+maxAhead.Milliseconds())
}

// end does what the end of a call means for the run.
func (a *apply) end(ctx context.Context, t *tx, r *workRun, s *streamRow) error {
	e := a.seg.End
	if e == nil {
		return nil
	}
	r.move(s.typ, store.StreamProcessing, e.State)
	if e.State == store.StreamError {
		r.Failure = e.Failure
	}
	switch {
	case e.State == store.StreamProcessed && s.typ == store.StreamPreprocess:
		r.phase = phasePlan
	case e.State == store.StreamProcessed && s.typ == store.StreamPlan:
		r.phase = workPhase(0)
		r.PlannedAt = fromMillis(t.ms)
	}
	if s.typ == store.StreamAllow {
		if err := r.answered(ctx, t, a.seg.StreamID, e); err != nil {
			return err
		}
	} else if e.Veto != nil {
		if err := r.skip(ctx, t, e.Veto); err != nil {
			return err
		}
	}
	if e.AbortRun || e.State == store.StreamError && (s.typ == store.StreamPreprocess || s.typ == store.StreamPlan) {
		return r.abort(ctx, t, e.Failure)
	}
	if err := r.settle(ctx, t); err != nil {
		return err
	}
	if !e.SleepUntil.IsZero() && !r.State.Terminal() && r.State != store.RunPending && e.SleepUntil.After(t.now) {
		r.delay(dueAt(e.SleepUntil, t), e.SleepReason)
	}
	return nil
}
