package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// fairLanes reads the lanes that a claim gets, in the order in which it gets them.
// A tenant with as many as it may have is passed over at the cost of one row, be
// there few or many of its lanes before those of others (K13).
func fairLanes(ctx context.Context, list lister, c store.LaneClaim, prios []int, now int64) ([]dueLane, error) {
	due, err := dueLanes(ctx, list, c.Plugins, prios, now, c.Limit)
	if err != nil {
		return nil, err
	}
	due = longest(due, c.Limit)
	if c.PerTenant <= 0 {
		return due, nil
	}
	room := roomOf(c)
	if some := room.take(due); len(some) == len(due) || len(due) < c.Limit {
		return some, nil // these are all that are due, or nobody is passed over
	}
	due = nil
	for _, prio := range prios {
		for _, plugin := range c.Plugins {
			of, err := laneGroup{plugin: plugin, prio: prio, now: now}.fair(ctx, list, room, c.Limit)
			if err != nil {
				return nil, fmt.Errorf("lanes of plugin %s: %w", plugin, err)
			}
			due = append(due, of...)
		}
	}
	return longest(room.take(longest(due, len(due))), c.Limit), nil
}

// longest returns the n lanes of due that go first: the lower class, then the one
// that waits longest.
func longest(due []dueLane, n int) []dueLane {
	slices.SortFunc(due, func(a, b dueLane) int {
		return cmp.Or(cmp.Compare(a.prio, b.prio), cmp.Compare(a.wakeAt, b.wakeAt), cmp.Compare(a.id, b.id))
	})
	return due[:min(len(due), n)]
}

// tenantRoom is how many lanes each tenant may have yet.
type tenantRoom struct {
	most int
	held map[int64]int
}

func roomOf(c store.LaneClaim) tenantRoom {
	return tenantRoom{most: c.PerTenant, held: c.Held}
}

func (r tenantRoom) of(tenantID int64) int { return max(0, r.most-r.held[tenantID]) }

// full returns how many tenants have no room.
func (r tenantRoom) full() (n int) {
	for _, held := range r.held {
		if held >= r.most {
			n++
		}
	}
	return n
}

// take returns those of due for which their tenants have room.
func (r tenantRoom) take(due []dueLane) (out []dueLane) {
	taken := make(map[int64]int)
	for _, d := range due {
		if taken[d.tenantID] < r.of(d.tenantID) {
			taken[d.tenantID]++
			out = append(out, d)
		}
	}
	return out
}

// laneGroup are the lanes of a plugin and class, as of now.
type laneGroup struct {
	plugin string
	prio   int
	now    int64
}

// fair reads up to n due lanes of each of the n tenants that wait longest, of those
// that have room, and the lanes that somebody lost.
func (g laneGroup) fair(ctx context.Context, list lister, room tenantRoom, n int) (out []dueLane, err error) {
	add := func(s scanner) error {
		d := dueLane{prio: int64(g.prio)}
		err := s.Scan(&d.id, &d.tenantID, &d.wakeAt, &d.held)
		out = append(out, d)
		return err
	}
	if err := list(ctx, lostLaneQuery, []any{g.plugin, g.prio, g.now, g.now + maxLease.Milliseconds(), n}, add); err != nil {
		return nil, err
	}
	back := g.now + store.ClockSlack.Milliseconds()
	if err := list(ctx, backLaneQuery, []any{g.plugin, g.prio, g.now, g.now + maxLease.Milliseconds(), n, back}, add); err != nil {
		return nil, err
	}
	var tenants []int64
	if err := list(ctx, laneHeadQuery, []any{g.plugin, g.prio, g.now, n + room.full()}, func(s scanner) error {
		var id int64
		err := s.Scan(&id)
		if room.of(id) > 0 {
			tenants = append(tenants, id)
		}
		return err
	}); err != nil {
		return nil, err
	}
	for _, id := range tenants {
		if err := list(ctx, tenantLaneQuery, []any{g.plugin, g.prio, g.now, id, min(n, room.of(id))}, add); err != nil {
			return nil, err
		}
	}
	return out, nil
}

const (
	laneHeadQuery = `
	SELECT   tenant_id
	FROM     lane_heads
	WHERE    plugin = $1 AND shard = 0 AND prio = $2 AND wake_at <= $3
	ORDER BY wake_at
	LIMIT    $4 + 0`

	tenantLaneQuery = `
	SELECT   id, tenant_id, wake_at, 0
	FROM     lanes INDEXED BY lanes_free
	WHERE    plugin = $1 AND shard = 0 AND prio = $2 AND wake_at IS NOT NULL AND wake_at <= $3 AND tenant_id = $4 AND owner IS NULL
	ORDER BY wake_at
	LIMIT    $5 + 0`

	// Few are held, and these are in an index of their own.
	lostLaneQuery = `
	SELECT   id, tenant_id, wake_at, 1
	FROM     lanes INDEXED BY lanes_held
	WHERE    owner IS NOT NULL AND plugin = $1 AND shard = 0 AND prio = $2 AND wake_at IS NOT NULL AND wake_at <= $3
	  AND    (lease_until <= $3 OR lease_until > $4)
	ORDER BY lease_until
	LIMIT    $5 + 0`
)
