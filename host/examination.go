package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/upkeep"
	"github.com/jackfield/jackfield/store"
)

// examination looks at the whole database once after a start, when the work has
// had its first minute. A database that is damaged is written no more: what would
// be written on top of the damage is lost with it.
type examination struct {
	examine func(ctx context.Context, deep bool) (store.Examination, error)
	freeze  func(error)
	command func(line string) string // as a person types it
	since   time.Time                // of the start
	now     func() time.Time
	log     hclog.Logger
	done    bool // of the task's goroutine alone
}

// task looks once.
func (e *examination) task() upkeep.Task {
	return upkeep.Task{Name: "check of the database", Every: snapshotLook, Do: func(ctx context.Context) (bool, error) {
		if e.done || e.now().Sub(e.since) < snapshotRest {
			return false, nil
		}
		exam, err := e.examine(ctx, false)
		if err != nil {
			return false, err // asked again
		}
		e.done = true
		if err := exam.Err(); err != nil {
			err = store.Hint(err, fmt.Sprintf("stop the daemon, keep a copy of the data directory, and restore the newest good backup: %s",
				e.command("db restore FILE")))
			e.freeze(err)
			return false, err
		}
		e.log.Debug("database checked", "took", exam.Took)
		return false, nil
	}}
}
