package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// alert tells, once each and in the transaction that ends the run, what a person
// wants to know of an integration without asking: that its onboarding is over
// (C44), that it fails (C45), and that it works again.
func (r *run) alert(ctx context.Context, t *tx) error {
	if r.State == store.RunCancelled { // by a person
		return nil
	}
	var (
		state               store.IntegrationState
		onboarded, notified moment
	)
	err := t.get(ctx, "SELECT state, onboarded_at, notified_at FROM integrations WHERE id = $1", []any{r.IntegrationID}, &state, &onboarded, &notified)
	if err != nil {
		return fmt.Errorf("integration %d: %w", r.IntegrationID, notFound(err))
	}
	well := r.State == store.RunProcessed
	if r.Kind == store.RunOnboarding {
		first := !notified.Valid || well && (!onboarded.Valid || state == store.IntegrationError)
		if err := r.tellOnboarding(ctx, t, first); err != nil {
			return err
		}
	}
	switch {
	case well && state == store.IntegrationError:
		return r.become(ctx, t, store.IntegrationActive, "", "integration.recovered")
	case r.State == store.RunError && state == store.IntegrationActive:
		reason, err := r.failing(ctx, t)
		if err != nil || reason == "" {
			return err
		}
		return r.become(ctx, t, store.IntegrationError, reason, "integration.failing")
	default:
		return nil
	}
}

// tellOnboarding writes the event of an onboarding's end. One that goes on failing
// is told of once; that it went well in the end is told, too.
func (r *run) tellOnboarding(ctx context.Context, t *tx, first bool) error {
	if !first {
		return nil
	}
	kind := "integration.onboarding_failed"
	if r.State == store.RunProcessed {
		kind = "integration.onboarded"
	}
	if _, err := t.exec(ctx, "UPDATE integrations SET notified_at = $2 WHERE id = $1", r.IntegrationID, t.ms); err != nil {
		return fmt.Errorf("integration %d is told of: %w", r.IntegrationID, err)
	}
	return addEvent(ctx, t, kind, r.IntegrationID, r.ID, r.alertData(""))
}

// onboardAnew makes the end of an onboarding that a person asked for again be told
// of like the first one.
func (r *run) onboardAnew(ctx context.Context, t *tx) error {
	if r.Kind != store.RunOnboarding {
		return nil
	}
	_, err := t.exec(ctx, "UPDATE integrations SET notified_at = NULL WHERE id = $1 AND onboarded_at IS NOT NULL", r.IntegrationID)
	if err != nil {
		return fmt.Errorf("integration %d: %w", r.IntegrationID, err)
	}
	return nil
}

// failingAfter is how many checks in a row fail before people are told.
const failingAfter = 3

// failing says why the integration counts as failing now that the run has ended in
// error; empty if it does not.
func (r *run) failing(ctx context.Context, t *tx) (string, error) {
	why := ""
	if r.Failure != nil {
		why = ": " + r.Failure.Code + ": " + r.Failure.Message
	}
	switch r.Kind {
	case store.RunOnboarding:
		return "the onboarding failed" + why, nil
	case store.RunManual: // whoever asked for it sees it
		return "", nil
	}
	failed := 0
	err := t.each(ctx, lastEndsQuery, []any{r.IntegrationID, failingAfter}, func(s scanner) error {
		var state store.RunState
		err := s.Scan(&state)
		if state == store.RunError {
			failed++
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("runs of integration %d: %w", r.IntegrationID, err)
	}
	if failed < failingAfter {
		return "", nil
	}
	return fmt.Sprintf("%d checks in a row failed%s", failed, why), nil
}

// lastEndsQuery reads how the last checks ended, and what went well besides.
const lastEndsQuery = `
	SELECT   state
	FROM     runs
	WHERE    integration_id = $1 AND state IN ('processed', 'partial', 'error') AND (kind = 'check' OR state <> 'error')
	ORDER BY id DESC
	LIMIT    $2`

// become moves the integration to another state with an event.
func (r *run) become(ctx context.Context, t *tx, state store.IntegrationState, reason, event string) error {
	_, err := t.exec(ctx, `
		UPDATE integrations
		SET    state = $2, reason = $3, updated_at = $4
		WHERE  id = $1`, r.IntegrationID, string(state), reason, t.ms)
	if err != nil {
		return fmt.Errorf("integration %d becomes %s: %w", r.IntegrationID, state, err)
	}
	return addEvent(ctx, t, event, r.IntegrationID, r.ID, r.alertData(reason))
}

// alertData is what an alert says of its run.
func (r *run) alertData(reason string) map[string]any {
	data := map[string]any{
		"kind": r.Kind, "state": r.State,
		"streams": map[string]int64{"processed": r.Streams.Processed, "error": r.Streams.Error, "cancelled": r.Streams.Cancelled},
		"records": r.Stats.Added + r.Stats.Updated,
	}
	if reason != "" {
		data["reason"] = reason
	}
	if r.Failure != nil {
		data["code"], data["message"] = r.Failure.Code, r.Failure.Message
	}
	return data
}
