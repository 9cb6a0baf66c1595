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
	}
}
