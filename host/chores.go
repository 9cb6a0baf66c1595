package main

import (
	"context"
	"time"

	"github.com/jackfield/jackfield/host/internal/upkeep"
)

// purgeEvery is how often the store is looked through for what is kept too long.
const purgeEvery = 10 * time.Minute

// tasks returns what the daemon does now and then.
func (h *Host) tasks() []upkeep.Task {
	return []upkeep.Task{
		{Name: "purge", Every: purgeEvery, Do: func(ctx context.Context) (bool, error) {
			return h.db.Purge(ctx, h.files.Retention())
		}},
		h.snapshots.task(),
		h.purgeCalls(),
		cursors{h.db, h.lifecycle.flush, h.log.Named("plugin")}.task(h.lifecycle.tested),
		{Name: "stuck", Every: time.Minute, Do: h.redriveStuck},
		{Name: "old onboardings", Every: 10 * time.Minute, Do: h.endOldOnboardings},
		(&examination{
			examine: h.db.Examine, freeze: h.db.Freeze, now: time.Now, since: time.Now(), log: h.log.Named("store"),
			command: func(line string) string { return "jackfield -c " + h.config.File + " " + line },
		}).task(),
	}
}

// stuckAtOnce bounds the runs that are helped on, or given up, in one transaction.
const stuckAtOnce = 20

// redriveStuck helps on runs that have made no progress for too long (C33).
func (h *Host) redriveStuck(ctx context.Context) (bool, error) {
	if h.files.Paused() {
		return false, nil
	}
	runs, err := h.db.RedriveStuck(ctx, h.files.StuckAfter(), stuckAtOnce)
	for _, r := range runs {
		h.log.Warn("run made no progress; it is worked on anew", "run", r.ID, "tenant", r.Tenant, "integration", r.Integration, "since", r.UpdatedAt)
	}
	return len(runs) == stuckAtOnce, err
}

// endOldOnboardings gives up the onboardings that are older than configuration
// allows (C59). While the host is paused none is to blame.
func (h *Host) endOldOnboardings(ctx context.Context) (bool, error) {
	if h.files.Paused() {
		return false, nil
	}
	runs, err := h.db.EndOldOnboardings(ctx, stuckAtOnce)
	for _, r := range runs {
		h.log.Warn("onboarding is too old and was ended", "run", r.ID, "tenant", r.Tenant, "integration", r.Integration, "started", r.StartedAt)
	}
	return len(runs) == stuckAtOnce, err
}
