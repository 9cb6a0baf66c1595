package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// phases of a run, in order: which of its streams are worked on. The run's phase
// is the least that has a stream which is not done.
const (
	phasePreprocess  = 0
	phasePlan        = 100
	phaseWork        = 200 // and above, by rank
	phaseSweep       = 800
	phasePostprocess = 900
)

// maxRank is the last rank that has phases of its own; connectors of later ones
// share them.
const maxRank = 290

// workPhase returns the phase in which the streams of a rank are worked on.
func workPhase(rank int) int { return phaseWork + 1 + 2*min(max(rank, 0), maxRank) }

// order gives the run's connectors their ranks, if there are several (O20).
func (r *run) order(ctx context.Context, t *tx, b store.RunBegin) error {
	var orders []int
	for _, c := range r.Connectors {
		orders = append(orders, b.Order[c])
	}
	slices.Sort(orders)
	orders = slices.Compact(orders)
	if len(orders) < 2 && !b.Allow {
		return nil
	}
	ranks := make(map[string]int, len(r.Connectors))
	for _, c := range r.Connectors {
		ranks[c] = slices.Index(orders, b.Order[c])
	}
	if err := r.setRanks(ctx, t, ranks); err != nil || !b.Allow {
		return err
	}
	return r.ask(ctx, t, ranks)
}

func (r *run) setRanks(ctx context.Context, t *tx, ranks map[string]int) error {
	raw, err := encode(ranks)
	if err != nil {
		return fmt.Errorf("ranks of run %d: %w", r.ID, err)
	}
	if _, err := t.exec(ctx, "UPDATE runs SET ranks = $2 WHERE id = $1", r.ID, raw); err != nil {
		return fmt.Errorf("ranks of run %d: %w", r.ID, err)
	}
	r.ranks = nullString{String: raw, Valid: true}
	return nil
}

// rankOf returns the ranks of the run's connectors; one that is absent has 0.
func (r *run) rankOf() (ranks map[string]int, err error) {
	if !r.ranks.Valid {
		return nil, nil //nolint:nilnil // a nil map has rank 0 for all
	}
	if err := json.Unmarshal([]byte(r.ranks.String), &ranks); err != nil {
		return nil, fmt.Errorf("decode ranks: %w", err)
	}
	return ranks, nil
}

// openPhase returns the least phase that has a stream which is not done. It reads
// one entry of the index of those that wait, and those that are at work.
func (r *run) openPhase(ctx context.Context, t *tx) (phase int, ok bool, err error) {
	var waiting, busy sql.NullInt64
	if err := t.get(ctx, openPhaseQuery, []any{r.ID}, &waiting, &busy); err != nil {
		return 0, false, fmt.Errorf("phase of run %d: %w", r.ID, err)
	}
	phase, ok = int(waiting.Int64), waiting.Valid
	if busy.Valid && (!ok || int(busy.Int64) < phase) {
		phase, ok = int(busy.Int64), true
	}
	return phase, ok, nil
}

const (
	waitingPhaseQuery = `
	SELECT   phase
	FROM     streams
	WHERE    run_id = $1 AND state IN ('pending', 'delayed')
	ORDER BY phase
	LIMIT    1`
	busyPhaseQuery = `
	SELECT min(phase)
	FROM   streams
	WHERE  run_id = $1 AND state = 'processing'`
	openPhaseQuery = "SELECT (" + waitingPhaseQuery + "), (" + busyPhaseQuery + ")"
)

// enter saves the run in that phase.
func (r *run) enter(ctx context.Context, t *tx, phase int) error {
	if phase == r.phase {
		return nil
	}
	r.phase = phase
	return r.save(ctx, t)
}
