package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// candidate is an open run of a lane, of which the lane works one.
type candidate struct {
	id      int64
	kind    store.RunKind
	state   store.RunState
	phase   int
	until   moment
	from    moment // when until was computed
	special bool   // a person asked for it in particular: it goes first (K12)
}

// candidates returns the open runs of an integration in the order in which they
// are worked on: what a person asked for in particular, what is under way, the
// oldest.
func candidates(ctx context.Context, list lister, integrationID int64, class string) (out []candidate, err error) {
	err = list(ctx, candidatesQuery, []any{integrationID, class}, func(s scanner) error {
		var c candidate
		err := s.Scan(&c.id, &c.kind, &c.state, &c.phase, &c.until, &c.from, &c.special)
		out = append(out, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open runs of integration %d: %w", integrationID, err)
	}
	slices.SortFunc(out, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.id, b.id))
	})
	return out, nil
}

const candidatesQuery = `
	SELECT id, kind, state, phase, delayed_until, delayed_from, params_sum <> ''
	FROM   runs
	WHERE  integration_id = $1 AND class = $2 AND state IN ('pending', 'processing', 'delayed')`

// rank is the place of a run in the order of candidates; of equals the older one
// goes first.
func (c candidate) rank() int {
	rank := 0
	if !c.special {
		rank += 2
	}
	if c.state != store.RunProcessing {
		rank++
	}
	return rank
}

// due returns when there is something to do for the run; ok is false if nothing
// waits.
func (c candidate) due(ctx context.Context, list lister, plugin string, now int64) (at int64, ok bool, err error) {
	if c.state == store.RunPending {
		return now, true, nil
	}
	at, ok, err = nextDue(ctx, list, c.id, c.phase, plugin, now)
	if c.sleeps(now) {
		at = max(at, c.until.Int64)
	}
	return at, ok, err
}

// sleeps reports whether the run's sleep is not over.
func (c candidate) sleeps(now int64) bool {
	return c.until.Valid && c.until.Int64 > now && !setBack(c.from.Int64, now)
}

// choose returns the run to work on: the first that has something to do, else the
// first that does not sleep. One that waits for a retry or a rate limit lets the
// others go on. ok is false if all sleep.
func choose(ctx context.Context, list lister, of []candidate, plugin string, now int64) (id int64, ok bool, err error) {
	for _, c := range of {
		if c.sleeps(now) {
			continue
		}
		at, waits, err := c.due(ctx, list, plugin, now)
		if err != nil {
			return 0, false, err
		}
		if waits && at <= now {
			return c.id, true, nil
		}
		if !ok {
			id, ok = c.id, true
		}
	}
	return id, ok, nil
}

// LookRun says what the holder of r's lane has to do beside what it does: way,
// that another run of the lane goes before r and has something to do, as a retry of
// what a person asked for in particular may have fallen due (K12); due, that a
// stream of r waits to be claimed. It takes no turn of the writer.
func (db *DB) LookRun(ctx context.Context, r store.Run) (way, due bool, err error) {
	now := db.opts.Now().UnixMilli()
	all, err := candidates(ctx, db.list, r.IntegrationID, r.Class)
	if err == nil {
		way, err = anyBefore(ctx, db.list, all, r, now)
	}
	for _, c := range all {
		if c.id == r.ID && err == nil && !way {
			var at int64
			at, due, err = c.due(ctx, db.list, r.Plugin, now)
			due = due && at <= now
		}
	}
	if err != nil {
		return false, false, fmt.Errorf("look at run %d: %w", r.ID, err)
	}
	return way, due, nil
}

// givesWay reports whether another run of the lane goes before r and has something
// to do.
func givesWay(ctx context.Context, list lister, r store.Run, now int64) (bool, error) {
	if r.ParamsSum != "" {
		return false, nil
	}
	all, err := candidates(ctx, list, r.IntegrationID, r.Class)
	if err != nil {
		return false, err
	}
	return anyBefore(ctx, list, all, r, now)
}

// anyBefore is givesWay among the open runs of r's lane.
func anyBefore(ctx context.Context, list lister, all []candidate, r store.Run, now int64) (bool, error) {
	if r.ParamsSum != "" {
		return false, nil
	}
	for _, c := range all {
		if !c.special {
			break
		}
		at, ok, err := c.due(ctx, list, r.Plugin, now)
		if err != nil || ok && at <= now {
			return err == nil, err
		}
	}
	return false, nil
}
