package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/schedule"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// engine does the work that a person asks for.
type engine struct {
	db     *sqlite.DB
	runner *runner.Runner
}

var _ api.Engine = (*engine)(nil)

// Sync implements api.Engine. The first ordinary sync of an integration is its
// onboarding, whoever asks first: a person or the schedule (C02).
func (e *engine) Sync(ctx context.Context, in store.Integration, req store.RunRequest) (store.Run, bool, error) {
	if in.OnboardedAt.IsZero() && req.ParamsSum == "" {
		req.Kind, req.Scheduled = store.RunOnboarding, true
		var err error
		if req.NextCheckAt, err = schedule.Of(in).Next(time.Now()); err != nil {
			return store.Run{}, false, fmt.Errorf("schedule of %s: %w", in.FullName(), err)
		}
	}
	return e.db.RequestRun(ctx, req)
}

// Check implements api.Engine.
func (e *engine) Check(ctx context.Context, in store.Integration, settings []byte) error {
	return e.runner.Check(ctx, in, settings)
}
