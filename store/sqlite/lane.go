package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackfield/jackfield/store"
)

// dueLane is a lane that may be claimed.
type dueLane struct {
	id, prio, wakeAt int64
	tenantID         int64
	held             bool // by somebody whose lease has run out
}

// ClaimLanes claims lanes that are due, of the plugins and priority classes asked
// for: the lower class first, then the one that waits longest. A class that must
// not wait behind another is asked for by itself. Of a tenant come no more than
// PerTenant leaves room for. Each lane is this caller's until its lease runs out, it
// is released, or it is taken away. What NextWake would answer after it comes out of
// the same transaction, if that is asked for.
func (db *DB) ClaimLanes(ctx context.Context, c store.LaneClaim) (lanes []store.Lane, err error) {
	if c.Limit <= 0 || c.Lease <= 0 || c.Lease > maxLease {
		return nil, fmt.Errorf("claim %d lanes for %v: %w", c.Limit, c.Lease, store.ErrInvalid)
	}
	prios := c.Prios
	if len(prios) == 0 {
		prios = []int{store.PrioInteractive, store.PrioCheck, store.PrioBulk}
	}
	// Mostly nothing is due: to see that needs no turn of the writer.
	if due, err := db.anyDueLane(ctx, c.Plugins, prios); err != nil || !due {
		return nil, err
	}
	if c.PerTenant > 0 && roomOf(c).full() > 0 {
		if due, err := fairLanes(ctx, db.list, c, prios, db.opts.Now().UnixMilli()); err != nil || len(due) == 0 {
			return nil, err
		}
	}
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		lanes = nil
		due, err := fairLanes(ctx, t.each, c, prios, t.ms)
		if err != nil {
			return err
		}
		for _, d := range due {
			l, err := claimLane(ctx, t, d, fmt.Sprintf("%d-%s", db.epoch, rand.Text()), c.Lease)
			if err != nil {
				return err
			}
			lanes = append(lanes, l)
		}
		if c.Next == nil {
			return nil
		}
		*c.Next, err = nextWake(ctx, t.each, c.Plugins, t.ms)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim lanes: %w", err)
	}
	return lanes, nil
}

// anyDueLane reports whether there is something to claim.
func (db *DB) anyDueLane(ctx context.Context, plugins []string, prios []int) (due bool, err error) {
	now := db.opts.Now().UnixMilli()
	for _, prio := range prios {
		for _, plugin := range plugins {
			err := db.list(ctx, anyDueLaneQuery, []any{plugin, prio, now, now + maxLease.Milliseconds(), now + store.ClockSlack.Milliseconds()}, func(s scanner) error {
				return s.Scan(&due)
			})
			if err != nil {
				return false, fmt.Errorf("lanes of plugin %s: %w", plugin, err)
			}
			if due {
				return true, nil
			}
		}
	}
	return false, nil
}

const anyDueLaneQuery = `
	SELECT EXISTS (SELECT 1 FROM lanes
	       WHERE  plugin = $1 AND shard = 0 AND prio = $2 AND wake_at IS NOT NULL AND wake_at <= $3
	         AND  (owner IS NULL OR lease_until <= $3 OR lease_until > $4))
	    OR EXISTS (SELECT 1 FROM lanes
	       WHERE  plugin = $1 AND shard = 0 AND prio = $2 AND wake_at IS NOT NULL AND wake_at > $3 AND wake_from > $5
	         AND  (owner IS NULL OR lease_until <= $3 OR lease_until > $4))`

// dueLanes reads what may be claimed, n lanes of each plugin and class at most. A
// time that was computed later than now counts as come: its holder computes it anew
// (K09).
func dueLanes(ctx context.Context, list lister, plugins []string, prios []int, now int64, n int) (out []dueLane, err error) {
	farLease := now + maxLease.Milliseconds()
	for _, prio := range prios {
		for _, plugin := range plugins {
			before := len(out)
			add := func(s scanner) error {
				d := dueLane{prio: int64(prio)}
				err := s.Scan(&d.id, &d.tenantID, &d.wakeAt, &d.held)
				out = append(out, d)
				return err
			}
			err = list(ctx, dueLaneQuery, []any{plugin, prio, now, farLease, n}, add)
			if left := n - len(out) + before; err == nil && left > 0 {
				err = list(ctx, backLaneQuery, []any{plugin, prio, now, farLease, left, now + store.ClockSlack.Milliseconds()}, add)
			}
			if err != nil {
				return nil, fmt.Errorf("lanes of plugin %s: %w", plugin, err)
			}
		}
	}
	return out, nil
}

// The limit is an expression: a plain parameter there makes SQLite compile a
// prepared statement anew each time it is bound.
const dueLaneQuery = `
	SELECT   id, tenant_id, wake_at, owner IS NOT NULL
	FROM     lanes
	WHERE    plugin = $1 AND shard = 0 AND prio = $2 AND wake_at IS NOT NULL AND wake_at <= $3
	  AND    (owner IS NULL OR lease_until <= $3 OR lease_until > $4)
	ORDER BY wake_at
	LIMIT    $5 + 0`

const backLaneQuery = `
	SELECT   id, tenant_id, $3, owner IS NOT NULL
	FROM     lanes
	WHERE    plugin = $1 AND shard = 0 AND prio = $2 AND wake_at IS NOT NULL AND wake_at > $3 AND wake_from > $6
	  AND    (owner IS NULL OR lease_until <= $3 OR lease_until > $4)
	ORDER BY wake_from
	LIMIT    $5 + 0`

func claimLane(ctx context.Context, t *tx, d dueLane, owner string, lease time.Duration) (store.Lane, error) {
	if d.held {
		if err := freeStreams(ctx, t, d.id, unanswered); err != nil {
			return store.Lane{}, err
		}
	}
	l := store.Lane{ID: d.id, Owner: owner, LeaseUntil: fromMillis(t.ms + lease.Milliseconds())}
	var wake int64
	err := t.get(ctx, `
		UPDATE    lanes
		SET       owner = $2, lease_until = $3, fence = fence + 1
		WHERE     id = $1
		RETURNING integration_id, tenant_id, class, key, plugin, prio, wake_at, fence, nudges,
		          (SELECT generation FROM integrations i WHERE i.id = lanes.integration_id)`,
		[]any{d.id, owner, t.ms + lease.Milliseconds()},
		&l.IntegrationID, &l.TenantID, &l.Class, &l.Key, &l.Plugin, &l.Prio, &wake, &l.Fence, &l.Nudges, &l.Generation)
	if err != nil {
		return store.Lane{}, fmt.Errorf("claim lane %d: %w", d.id, err)
	}
	t.writes++
	l.WakeAt = fromMillis(wake)
	return l, nil
}

// renewSizes are the numbers of lanes for which a renewing statement is kept.
func renewSizes() []int { return []int{1, 8, 64} }

// RenewLanes extends the leases of refs. It returns the number of nudges of each
// lane by its id; one that is absent is lost, and its holder stops at once.
func (db *DB) RenewLanes(ctx context.Context, refs []store.LaneRef, lease time.Duration) (nudges map[int64]int64, err error) {
	if lease <= 0 || lease > maxLease {
		return nil, fmt.Errorf("renew lanes for %v: %w", lease, store.ErrInvalid)
	}
	err = db.always(ctx, func(ctx context.Context, t *tx) error {
		nudges = make(map[int64]int64, len(refs))
		sizes := renewSizes()
		for chunk := range slices.Chunk(refs, sizes[len(sizes)-1]) {
			size := sizes[slices.IndexFunc(sizes, func(n int) bool { return n >= len(chunk) })]
			args := make([]any, 1, 1+3*size)
			args[0] = t.ms + lease.Milliseconds()
			for _, r := range chunk {
				args = append(args, r.ID, r.Owner, r.Fence)
			}
			for range size - len(chunk) {
				args = append(args, int64(0), "", int64(0)) // no lane
			}
			if err := t.change(ctx, renewQuery(size), args, func(s scanner) error {
				var id, n int64
				err := s.Scan(&id, &n)
				nudges[id] = n
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("renew lanes: %w", err)
	}
	return nudges, nil
}

func renewQuery(n int) string {
	return `
		UPDATE    lanes
		SET       lease_until = ?
		WHERE     (id, owner, fence) IN (VALUES ` + strings.TrimSuffix(strings.Repeat("(?,?,?),", n), ",") + `)
		RETURNING id, nudges`
}

// holds returns store.ErrStale unless the lane is held by ref.
func holds(ctx context.Context, t *tx, ref store.LaneRef) error {
	_, _, err := heldFor(ctx, t, ref)
	return err
}

// heldFor is holds, and says what the lane is of.
func heldFor(ctx context.Context, t *tx, ref store.LaneRef) (integrationID int64, class string, err error) {
	err = t.get(ctx, "SELECT integration_id, class FROM lanes WHERE id = $1 AND owner = $2 AND fence = $3",
		[]any{ref.ID, ref.Owner, ref.Fence}, &integrationID, &class)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", fmt.Errorf("lane %d: %w", ref.ID, store.ErrStale)
	}
	return integrationID, class, err
}

// heldRun reads a run of the lane that ref holds. It returns store.ErrStale for
// one of another lane.
func heldRun(ctx context.Context, t *tx, ref store.LaneRef, runID int64) (*run, error) {
	integrationID, class, err := heldFor(ctx, t, ref)
	if err != nil {
		return nil, err
	}
	r, err := loadRun(ctx, t, runID)
	if err == nil && (r.IntegrationID != integrationID || r.Class != class) {
		return nil, fmt.Errorf("lane %d: %w", ref.ID, store.ErrStale)
	}
	return r, err
}

// How a claim of a stream ends that has no answer (K11).
const (
	orderly    = 1 // its interrupt is taken back
	unanswered = 0
)

// freeStreams lets what the lane's holder was working on wait again.
func freeStreams(ctx context.Context, t *tx, laneID int64, how int) error {
	runs, err := openRuns(ctx, t, laneID)
	if err != nil {
		return err
	}
	for _, id := range runs {
		if err := freeRun(ctx, t, id, how); err != nil {
			return err
		}
	}
	return nil
}

// freeRun lets what is under way of a run wait again.
func freeRun(ctx context.Context, t *tx, id int64, how int) error {
	t.touch(id)
	n, err := t.exec(ctx, freeStreamsQuery, id, t.ms, how)
	if err != nil {
		return fmt.Errorf("free streams of run %d: %w", id, err)
	}
	if n == 0 {
		return nil
	}
	if _, err := t.exec(ctx, `
		UPDATE runs
		SET    n_pending = n_pending + n_processing, n_processing = 0, updated_at = $2
		WHERE  id = $1`, id, t.ms); err != nil {
		return fmt.Errorf("free streams of run %d: %w", id, err)
	}
	var integrationID int64
	if err := t.get(ctx, "SELECT integration_id FROM runs WHERE id = $1", []any{id}, &integrationID); err != nil {
		return fmt.Errorf("run %d: %w", id, err)
	}
	return endProbes(ctx, t, integrationID)
}

const freeStreamsQuery = `
	UPDATE streams
	SET    state = 'pending', due_at = $2, updated_at = $2, interrupts = max(interrupts - $3, 0)
	WHERE  run_id = $1 AND state = 'processing'`

// openRuns returns the runs of a lane that are not over.
func openRuns(ctx context.Context, t *tx, laneID int64) (ids []int64, err error) {
	err = t.each(ctx, `
		SELECT r.id
		FROM   lanes l JOIN runs r ON r.integration_id = l.integration_id AND r.class = l.class
		WHERE  l.id = $1 AND r.state IN ('pending', 'processing', 'delayed')`, []any{laneID}, func(s scanner) error {
		var id int64
		err := s.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// Nudge makes the integration's lane due at the given time, if that is earlier
// than it is, and lets its holder know that there is something new. One that is
// disabled or parked stays as it is.
func (db *DB) Nudge(ctx context.Context, integrationID int64, class string, at time.Time) error {
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		return nudge(ctx, t, integrationID, class, at.UnixMilli(), keepPrio)
	})
	if err != nil {
		return fmt.Errorf("nudge integration %d: %w", integrationID, err)
	}
	return nil
}

// keepPrio leaves a lane in its priority class.
const keepPrio = -1

// nudge is Nudge with a priority class. Of two for which the lane is due the more
// urgent one stands.
func nudge(ctx context.Context, t *tx, integrationID int64, class string, at int64, prio int) error {
	n, err := t.exec(ctx, `
		UPDATE lanes
		SET    nudges  = nudges + 1,
		       prio    = CASE WHEN $4 >= 0 AND (prio > $4 OR wake_at IS NULL OR wake_at > $5) THEN $4 ELSE prio END,
		       wake_at = CASE WHEN wake_at IS NULL OR wake_at > $3 THEN $3 ELSE wake_at END,
		       wake_from = CASE WHEN wake_at IS NULL OR wake_at > $3 THEN $5 ELSE wake_from END
		WHERE  integration_id = $1 AND class = $2
		  AND  integration_id IN (SELECT id FROM integrations WHERE id = $1 AND state NOT IN ('disabled', 'parked'))`, integrationID, class, at, prio, t.ms)
	if err != nil {
		return err
	}
	if n == 0 { // there is none, or it may not work
		_, err := integrationByID(ctx, t, integrationID)
		return err
	}
	t.after.wake = true
	return nil
}
