package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackfield/jackfield/store"
)

// settle moves the run to its next phase if nothing is left to be worked on in
// this one, or ends it, and saves it then. A run that is not planned has no end but
// an error (K01).
func (r *run) settle(ctx context.Context, t *tx) error {
	n := r.Streams
	if r.State == store.RunPending || r.State.Terminal() || r.phase < phaseWork {
		return nil
	}
	if n.Pending+n.Processing+n.Delayed > 0 && !r.ranks.Valid {
		return nil // all work is one phase, and the counters tell
	}
	phase, open, err := r.openPhase(ctx, t)
	if err != nil {
		return err
	}
	if open {
		return r.enter(ctx, t, phase)
	}
	if sweeping, err := r.beginSweep(ctx, t); err != nil || sweeping {
		return err
	}
	last, err := r.postprocessing(ctx, t)
	if err != nil {
		return err
	}
	refused, err := r.refusals(ctx, t)
	if err != nil {
		return err
	}
	if last == "" && r.postprocess {
		if err := r.systemStream(ctx, t, store.StreamPostprocess, phasePostprocess); err != nil {
			return err
		}
		return r.enter(ctx, t, phasePostprocess)
	}
	return r.end(ctx, t, r.outcome(refused, last))
}

// postprocessing returns the state of the run's last call, empty if it is not
// there.
func (r *run) postprocessing(ctx context.Context, t *tx) (s store.StreamState, err error) {
	err = t.get(ctx, "SELECT state FROM streams WHERE run_id = $1 AND connector = ':' AND ident = 'postprocess'", []any{r.ID}, &s)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("last call of run %d: %w", r.ID, err)
	}
	return s, nil
}

// refusals counts the checks of connectors that failed for good.
func (r *run) refusals(ctx context.Context, t *tx) (n int64, err error) {
	if !r.ranks.Valid {
		return 0, nil
	}
	err = t.get(ctx, "SELECT count(*) FROM streams WHERE run_id = $1 AND state = 'error' AND type = 'allow'", []any{r.ID}, &n)
	if err != nil {
		return 0, fmt.Errorf("checks of run %d: %w", r.ID, err)
	}
	return n, nil
}

// outcome returns how a run ends whose streams are done: never as processed if
// one failed.
func (r *run) outcome(refused int64, last store.StreamState) store.RunState {
	errs := r.Streams.Error + refused
	switch {
	case errs > 0 && r.Streams.Processed == 0:
		return store.RunError
	case errs > 0 || last == store.StreamError:
		return store.RunPartial
	default:
		return store.RunProcessed
	}
}

// abort ends the run in error at once; what was not worked on can be continued.
func (r *run) abort(ctx context.Context, t *tx, why *store.Failure) error {
	if err := r.cancelStreams(ctx, t); err != nil {
		return err
	}
	r.Failure = why
	return r.end(ctx, t, store.RunError)
}

// end ends the run, with all that goes with it, once.
func (r *run) end(ctx context.Context, t *tx, state store.RunState) error {
	r.State = state
	r.EndedAt = fromMillis(t.ms)
	r.DelayedUntil, r.DelayReason = time.Time{}, ""
	if state == store.RunProcessed {
		r.Failure = nil
	}
	if err := r.save(ctx, t); err != nil {
		return err
	}
	parts, err := r.judge(ctx, t)
	if err != nil {
		return err
	}
	if err := r.alert(ctx, t); err != nil { // before onboarded_at moves
		return err
	}
	if err := r.promote(ctx, t, parts); err != nil {
		return err
	}
	if err := r.closeStatuses(ctx, t, parts); err != nil {
		return err
	}
	if err := r.endWatch(ctx, t); err != nil {
		return err
	}
	return addEvent(ctx, t, "run."+string(state), r.IntegrationID, r.ID, map[string]any{
		"kind": r.Kind,
		"records": map[string]int64{
			"read": r.Stats.Read, "added": r.Stats.Added, "updated": r.Stats.Updated, "deleted": r.Stats.Deleted,
			"unchanged": r.Stats.Unchanged, "stale": r.Stats.Stale,
		},
		"streams": map[string]int64{
			"processed": r.Streams.Processed, "error": r.Streams.Error, "cancelled": r.Streams.Cancelled,
		},
		"warnings": r.Stats.Warnings,
	})
}

// promote moves the positions that depend on how the run ended (K03).
func (r *run) promote(ctx context.Context, t *tx, parts []*store.ConnectorStatus) error {
	if r.Force {
		if err := r.promoteCursors(ctx, t); err != nil {
			return err
		}
	}
	full := (r.Kind == store.RunOnboarding || r.Kind == store.RunCheck) && r.ParamsSum == ""
	if full && (r.State == store.RunProcessed || r.State == store.RunPartial) {
		if err := r.promoteWatermarks(ctx, t, parts); err != nil {
			return err
		}
	}
	if r.Kind == store.RunOnboarding && r.State == store.RunProcessed {
		_, err := t.exec(ctx, `
			UPDATE integrations
			SET    onboarded_at = $2, updated_at = $2
			WHERE  id = $1 AND onboarded_at IS NULL`, r.IntegrationID, t.ms)
		if err != nil {
			return fmt.Errorf("onboard integration %d: %w", r.IntegrationID, err)
		}
	}
	return nil
}

// promoteCursors lets the cursors of a forced run take their place, or forgets
// them. A run that may be continued keeps them for then; of one that is cancelled
// cancel has forgotten them. They move together with the end of the run, as K03 wants
// it: one for each partition that the run has, 300,000 of them in about a second.
func (r *run) promoteCursors(ctx context.Context, t *tx) error {
	if r.State != store.RunProcessed {
		return nil
	}
	if _, err := t.exec(ctx, "UPDATE cursors SET cursor = next, next = NULL, next_run = NULL, updated_at = $2 WHERE next_run = $1", r.ID, t.ms); err != nil {
		return fmt.Errorf("cursors of run %d: %w", r.ID, err)
	}
	return nil
}

// aheadOf returns the time after which a watermark is one of a clock that was set
// wrong.
func aheadOf(now int64) int64 { return now + store.ClockSlack.Milliseconds() }

// promoteWatermarks moves the watermark of each connector of which every stream is
// processed to the start of the run: what changed since then is new.
func (r *run) promoteWatermarks(ctx context.Context, t *tx, parts []*store.ConnectorStatus) error {
	for _, p := range parts {
		if p.Code != store.ConnectorCompleted || !slices.Contains(r.Connectors, p.Connector) {
			continue
		}
		if _, err := t.exec(ctx, `
			INSERT INTO watermarks (integration_id, connector, at, run_id)
			VALUES ($1, $2, $3, $4)
			ON CONFLICT (integration_id, connector) DO UPDATE
			SET    at = excluded.at, run_id = excluded.run_id
			WHERE  watermarks.at < excluded.at OR watermarks.at > $5`,
			r.IntegrationID, p.Connector, r.StartedAt.UnixMilli(), r.ID, aheadOf(t.ms)); err != nil {
			return fmt.Errorf("watermark of %s: %w", p.Connector, err)
		}
		data, err := encode(map[string]any{"watermark": r.StartedAt})
		if err != nil {
			return err
		}
		p.Data = []byte(data)
	}
	return nil
}
