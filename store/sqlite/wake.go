package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// NextWake returns when a lane of these plugins can be claimed next, which may
// have come already, and of which classes one can be claimed now.
func (db *DB) NextWake(ctx context.Context, plugins []string) (store.Due, error) {
	due, err := nextWake(ctx, db.list, plugins, db.opts.Now().UnixMilli())
	if err != nil {
		return store.Due{}, fmt.Errorf("next wake: %w", err)
	}
	return due, nil
}

// nextWake is NextWake at a time.
func nextWake(ctx context.Context, list lister, plugins []string, now int64) (store.Due, error) {
	var (
		first, later moment
		due          [3]bool // by priority
	)
	for _, plugin := range plugins {
		if err := list(ctx, nextLaneQuery, []any{plugin, now + store.ClockSlack.Milliseconds()}, func(s scanner) error {
			var (
				free [3]moment // by priority
				held moment
				back bool
			)
			err := s.Scan(&free[0], &free[1], &free[2], &held, &back)
			if back {
				held = moment{sql.NullInt64{Int64: now, Valid: true}}
			}
			for prio := range due { // one that is held, or of a later clock, is of any class
				due[prio] = due[prio] || free[prio].come(now) || held.come(now)
			}
			for _, at := range append(free[:], held) {
				first = first.sooner(at)
				if !at.come(now) {
					later = later.sooner(at)
				}
			}
			return err
		}); err != nil {
			return store.Due{}, fmt.Errorf("lanes of plugin %s: %w", plugin, err)
		}
	}
	out := store.Due{At: first.time(), Later: later.time()}
	for prio, is := range due {
		if is {
			out.Prios = append(out.Prios, prio)
		}
	}
	return out, nil
}

// nextLaneQuery looks at the first free lane of each priority class, which is the
// first of its tenant, at those that are held, which are few and in an index of their
// own, and for one whose time was computed by a later clock: it is due (K09). It is one statement, since the
// scheduler asks again at each change. The columns have names since the driver reads
// them each time, and what has no name is called by its whole text.
const nextLaneQuery = `
	SELECT (SELECT wake_at FROM lane_heads WHERE plugin = $1 AND shard = 0 AND prio = 0 ORDER BY wake_at LIMIT 1) AS first0,
	       (SELECT wake_at FROM lane_heads WHERE plugin = $1 AND shard = 0 AND prio = 1 ORDER BY wake_at LIMIT 1) AS first1,
	       (SELECT wake_at FROM lane_heads WHERE plugin = $1 AND shard = 0 AND prio = 2 ORDER BY wake_at LIMIT 1) AS first2,
	       (SELECT min(max(wake_at, lease_until)) FROM lanes INDEXED BY lanes_held WHERE owner IS NOT NULL AND wake_at IS NOT NULL AND plugin = $1) AS held,
	       EXISTS (SELECT 1 FROM lanes WHERE plugin = $1 AND shard = 0 AND prio IN (0, 1, 2) AND wake_at IS NOT NULL AND wake_from > $2 AND owner IS NULL) AS back`

// lister is a way to read: in a write transaction or beside it.
type lister func(ctx context.Context, query string, args []any, fn func(scanner) error) error

// setBack reports whether a time that was computed at from lies further ahead than
// it did then: the clock was set back, and the time counts as come (K09). So
// nothing is later than its class allows: a retry by its backoff, a rate limit and
// a sleep by what was asked for, a check by its schedule.
func setBack(from, now int64) bool { return from > now+store.ClockSlack.Milliseconds() }

// prioOf returns the priority class of a run.
func prioOf(kind store.RunKind) int {
	switch kind {
	case store.RunManual:
		return store.PrioInteractive
	case store.RunOnboarding:
		return store.PrioBulk
	default:
		return store.PrioCheck
	}
}

// wakeOf returns when the integration's lane has something to do, as it is kept,
// and with what priority: the earliest of its open runs, else its schedule, else
// never.
func wakeOf(ctx context.Context, t *tx, integrationID int64, class string) (wake any, prio int, err error) {
	runs, err := candidates(ctx, t.each, integrationID, class)
	if err != nil {
		return nil, 0, err
	}
	return wakeAmong(ctx, t, integrationID, runs)
}

// wakeAmong is wakeOf for a lane of which these are the open runs.
func wakeAmong(ctx context.Context, t *tx, integrationID int64, runs []candidate) (wake any, prio int, err error) {
	var (
		state                   store.IntegrationState
		plugin                  string
		finishing               bool
		next, from, onboardedAt moment
	)
	err = t.get(ctx, "SELECT state, plugin, finishing, next_check_at, next_check_from, onboarded_at FROM integrations WHERE id = $1",
		[]any{integrationID}, &state, &plugin, &finishing, &next, &from, &onboardedAt)
	if err != nil {
		return nil, 0, fmt.Errorf("integration %d: %w", integrationID, notFound(err))
	}
	prio = store.PrioCheck
	if !onboardedAt.Valid {
		prio = store.PrioBulk
	}
	switch {
	case state == store.IntegrationDisabled && finishing:
	case state == store.IntegrationDisabled, state == store.IntegrationParked, state == store.IntegrationWaitingApproval:
		return nil, prio, nil
	}
	if len(runs) == 0 {
		active := state == store.IntegrationActive || state == store.IntegrationError
		if !active || !next.Valid {
			return nil, prio, nil
		}
		if setBack(from.Int64, t.ms) {
			return t.ms, prio, nil
		}
		return next.Int64, prio, nil
	}
	var first moment
	for _, r := range runs {
		at, ok, err := r.due(ctx, t.each, plugin, t.ms)
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			continue
		}
		// Of two that are due the more urgent one is what the lane is claimed for.
		sooner := !first.Valid || max(at, t.ms) < max(first.Int64, t.ms)
		same := first.Valid && max(at, t.ms) == max(first.Int64, t.ms)
		if sooner || same && prioOf(r.kind) < prio {
			prio = prioOf(r.kind)
		}
		if sooner {
			first = moment{sql.NullInt64{Int64: at, Valid: true}}
		}
	}
	if !first.Valid {
		return nil, prio, nil
	}
	return first.Int64, prio, nil
}

// nextDue returns when the next waiting stream of the run's phase may be claimed:
// the least over its limit keys of the later of its time and the key's throttle
// (K14). It looks at one entry of the index per key.
func nextDue(ctx context.Context, list lister, runID int64, phase int, plugin string, now int64) (at int64, ok bool, err error) {
	for key := ""; ; {
		var (
			due, from   int64
			until, open moment
			found, more bool
		)
		err := list(ctx, nextKeyQuery, []any{runID, phase, key, plugin, now + store.ClockSlack.Milliseconds()}, func(s scanner) error {
			found = true
			return s.Scan(&key, &due, &from, &more, &until, &open)
		})
		if err != nil {
			return 0, false, fmt.Errorf("next stream of run %d: %w", runID, err)
		}
		if !found {
			return at, ok, nil
		}
		if setBack(from, now) {
			due = now
		}
		if until.Valid {
			due = max(due, until.Int64)
		}
		if open.Valid {
			due = max(due, circuitCome(open.Int64, now))
		}
		if !ok || due < at {
			at, ok = due, true
		}
		if at <= now || !more {
			return at, true, nil
		}
	}
}

// nextKeyQuery steps to the next limit key of waiting streams, to the first of
// them, and says whether there is one after it. A throttle that was set later than
// now is over: the clock was set back.
const nextKeyQuery = `
	SELECT   s.limit_key, s.due_at, s.updated_at,
	         EXISTS (SELECT 1 FROM streams n WHERE n.run_id = $1 AND n.phase = $2 AND n.state IN ('pending', 'delayed') AND n.limit_key > s.limit_key),
	         (SELECT until FROM throttles t WHERE t.plugin = $4 AND t.key = s.limit_key AND t.since <= $5),
	         (SELECT max(until) FROM circuits c WHERE c.integration_id = s.integration_id AND c.key = s.limit_key)
	FROM     streams s
	WHERE    s.run_id = $1 AND s.phase = $2 AND s.state IN ('pending', 'delayed') AND s.limit_key > $3
	ORDER BY s.limit_key, s.due_at
	LIMIT    1`

// reschedule computes anew when the lanes of the integration are due. One that is
// held learns it by a nudge and computes at its release.
func reschedule(ctx context.Context, t *tx, integrationID int64) error {
	wake, prio, err := wakeOf(ctx, t, integrationID, store.ClassPull)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `
		UPDATE lanes
		SET    nudges  = CASE WHEN owner IS NULL THEN nudges ELSE nudges + 1 END,
		       wake_at = CASE WHEN owner IS NULL THEN $3 ELSE wake_at END,
		       wake_from = CASE WHEN owner IS NULL THEN $5 ELSE wake_from END,
		       prio    = CASE WHEN owner IS NULL THEN $4 ELSE prio END
		WHERE  integration_id = $1 AND class = $2`, integrationID, store.ClassPull, wake, prio, t.ms)
	if err != nil {
		return fmt.Errorf("reschedule integration %d: %w", integrationID, err)
	}
	t.after.wake = true
	return nil
}

// revoke takes the integration's lane away from whoever holds it, and raises the
// generation, so that what is under way writes nothing (K10). The lane is free and
// due as things are now.
func revoke(ctx context.Context, t *tx, integrationID int64, class string) error {
	var laneID int64
	var owner nullString
	err := t.get(ctx, "SELECT id, owner FROM lanes WHERE integration_id = $1 AND class = $2",
		[]any{integrationID, class}, &laneID, &owner)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lane of integration %d: %w", integrationID, err)
	}
	if err := freeStreams(ctx, t, laneID, orderly); err != nil {
		return err
	}
	if err := returnQuota(ctx, t, laneID); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "UPDATE integrations SET generation = generation + 1 WHERE id = $1", integrationID); err != nil {
		return fmt.Errorf("raise generation of integration %d: %w", integrationID, err)
	}
	if _, err := t.exec(ctx, `
		UPDATE lanes
		SET    owner = NULL, lease_until = NULL, fence = fence + 1
		WHERE  id = $1`, laneID); err != nil {
		return fmt.Errorf("take lane %d away: %w", laneID, err)
	}
	if owner.Valid {
		t.after.revoked = append(t.after.revoked, laneID)
	}
	return reschedule(ctx, t, integrationID)
}
