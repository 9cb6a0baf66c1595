package api

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

type runStore interface {
	Run(ctx context.Context, id int64) (store.Run, error)
	Runs(ctx context.Context, f store.RunFilter) ([]store.Run, error)
	CancelRun(ctx context.Context, id int64, reason string) (store.Run, error)
	ContinueRun(ctx context.Context, id int64) (store.Run, error)
	ConnectorStatuses(ctx context.Context, f store.ConnectorFilter) ([]store.ConnectorStatus, error)
	NextStreamDue(ctx context.Context, runID int64) (time.Time, bool, error)
	Warnings(ctx context.Context, runID int64, limit int) ([]store.Warning, error)
}

type runService struct {
	hostv1.UnimplementedRunServiceServer
	*Server
}

// ListRuns returns a page of them, the newest first.
func (s *runService) ListRuns(ctx context.Context, req *hostv1.ListRunsRequest) (*hostv1.ListRunsResponse, error) {
	before, err := parsePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	if err := checkState(req.GetState(), store.RunTransitions()); err != nil {
		return nil, err
	}
	integration, err := s.integrationID(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	list, err := s.deps.Store.Runs(ctx, store.RunFilter{
		Tenant: req.GetTenant(), IntegrationID: integration, State: store.RunState(req.GetState()), Limit: size + 1, Before: before,
	})
	if err != nil {
		return nil, err
	}
	list, next := page(list, size, func(r store.Run) int64 { return r.ID })
	return &hostv1.ListRunsResponse{Runs: convert(list, s.run), Next: next}, nil
}

// shownOfRun bounds the lists on the page of a run.
const shownOfRun = 20

// GetRun answers on one page what a run waits for, why it failed and what it
// stored.
func (s *runService) GetRun(ctx context.Context, req *hostv1.GetRunRequest) (*hostv1.GetRunResponse, error) {
	run, err := s.findRun(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	troubled, err := s.troubled(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	warnings, err := s.deps.Store.Warnings(ctx, run.ID, shownOfRun)
	if err != nil {
		return nil, err
	}
	why, err := s.why(ctx, run, troubled)
	if err != nil {
		return nil, err
	}
	connectors, err := s.connectorsOf(ctx, run)
	if err != nil {
		return nil, err
	}
	due, err := s.nextAttempt(ctx, run)
	if err != nil {
		return nil, err
	}
	return &hostv1.GetRunResponse{
		Run:           s.run(run),
		Why:           s.opts.Redact(why),
		Connectors:    connectors,
		NextAttemptAt: timestamp(due),
		Next:          nextCommand(run),
		Troubled:      convert(troubled, s.stream),
		Warnings: convert(warnings, func(w store.Warning) *hostv1.Warning {
			return &hostv1.Warning{RecordId: w.RecordID, Message: s.opts.Redact(w.Message), At: timestamp(w.At)}
		}),
	}, nil
}

// troubled returns the first streams of a run that failed or wait.
func (s *runService) troubled(ctx context.Context, runID int64) ([]store.Stream, error) {
	var troubled []store.Stream
	for _, state := range []store.StreamState{store.StreamError, store.StreamDelayed} {
		if len(troubled) == shownOfRun {
			break
		}
		list, err := s.deps.Store.Streams(ctx, store.StreamFilter{RunID: runID, State: state, System: true, Limit: shownOfRun - len(troubled)})
		if err != nil {
			return nil, err
		}
		troubled = append(troubled, list...)
	}
	return troubled, nil
}

// WatchRun sends the run whenever it has changed, until it has ended.
func (s *runService) WatchRun(req *hostv1.WatchRunRequest, out grpc.ServerStreamingServer[hostv1.WatchRunResponse]) error {
	release, err := s.acquire()
	if err != nil {
		return err
	}
	defer release()
	var last *hostv1.Run
	for {
		changed := s.changed()
		run, err := s.findRun(out.Context(), req.GetId())
		if err != nil {
			return err
		}
		now := s.run(run)
		// The duration alone is no news.
		if last == nil || !proto.Equal(without(last), without(now)) {
			if err := out.Send(&hostv1.WatchRunResponse{Run: now}); err != nil {
				return err
			}
			last = now
		}
		if run.State.Terminal() {
			return nil
		}
		if err := s.wait(out.Context(), changed); err != nil {
			return err
		}
	}
}

// without returns a run without what moves by itself.
func without(r *hostv1.Run) proto.Message {
	c := proto.CloneOf(r)
	c.DurationMs = 0
	return c
}

// ContinueRun goes on with a run that failed or waits.
func (s *runService) ContinueRun(ctx context.Context, req *hostv1.ContinueRunRequest) (*hostv1.ContinueRunResponse, error) {
	run, err := s.findRun(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	if run, err = s.deps.Store.ContinueRun(ctx, run.ID); err != nil {
		return nil, s.runConflict(ctx, req.GetId(), "continued", err)
	}
	return &hostv1.ContinueRunResponse{Run: s.run(run)}, nil
}

// CancelRun ends a run.
func (s *runService) CancelRun(ctx context.Context, req *hostv1.CancelRunRequest) (*hostv1.CancelRunResponse, error) {
	run, err := s.findRun(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	reason := req.GetReason()
	if reason == "" {
		reason = "by a person"
	}
	if run, err = s.deps.Store.CancelRun(ctx, run.ID, reason); err != nil {
		return nil, s.runConflict(ctx, req.GetId(), "cancelled", err)
	}
	return &hostv1.CancelRunResponse{Run: s.run(run)}, nil
}

// runConflict says in what state the run is that something cannot be done to.
func (s *runService) runConflict(ctx context.Context, id, what string, err error) error {
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	if h, ok := errors.AsType[*store.HintError](err); ok {
		return h
	}
	run, findErr := s.findRun(ctx, id)
	if findErr != nil {
		return err
	}
	return &Error{
		Kind: KindConflict, Message: "run " + id + " is " + string(run.State) + " and cannot be " + what,
		Hint: "jackfield run show " + id,
	}
}

func (s *Server) findRun(ctx context.Context, text string) (store.Run, error) {
	id, err := parseID("run", text)
	if err != nil {
		return store.Run{}, err
	}
	run, err := s.deps.Store.Run(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return run, notFound("run", text, "jackfield run list")
	}
	return run, err
}

// checkState refuses a state that there is not.
func checkState[S ~string](state string, table map[S][]S) error {
	if _, ok := table[S(state)]; ok || state == "" {
		return nil
	}
	names := make([]string, 0, len(table))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		names = append(names, string(name))
	}
	return invalid("one of: "+strings.Join(names, ", "), "there is no state %q", state)
}

func (s *Server) run(r store.Run) *hostv1.Run {
	return &hostv1.Run{
		Id:           idText(r.ID),
		Integration:  r.Tenant + "/" + r.Integration,
		Plugin:       r.Plugin,
		Kind:         string(r.Kind),
		State:        string(r.State),
		Connectors:   r.Connectors,
		Params:       r.Params,
		Force:        r.Force,
		CreatedAt:    timestamp(r.CreatedAt),
		StartedAt:    timestamp(r.StartedAt),
		PlannedAt:    timestamp(r.PlannedAt),
		DelayedUntil: timestamp(r.DelayedUntil),
		EndedAt:      timestamp(r.EndedAt),
		UpdatedAt:    timestamp(r.UpdatedAt),
		DurationMs:   s.duration(r),
		Stats: &hostv1.RunStats{
			Read: r.Stats.Read, Added: r.Stats.Added, Updated: r.Stats.Updated, Deleted: r.Stats.Deleted,
			Unchanged: r.Stats.Unchanged, Stale: r.Stats.Stale, Warnings: r.Stats.Warnings,
		},
		Streams: &hostv1.StreamCounts{
			Total: r.Streams.Total(), Pending: r.Streams.Pending, Processing: r.Streams.Processing, Delayed: r.Streams.Delayed,
			Processed: r.Streams.Processed, Error: r.Streams.Error, Cancelled: r.Streams.Cancelled,
		},
		Failure:     s.failure(r.Failure),
		DelayReason: s.opts.Redact(r.DelayReason),
		StuckSince:  timestamp(r.StuckSince),
	}
}

// duration is from start to end, or to now.
func (s *Server) duration(r store.Run) int64 {
	if r.StartedAt.IsZero() {
		return 0
	}
	end := r.EndedAt
	if end.IsZero() {
		end = s.opts.Now()
	}
	return max(0, end.Sub(r.StartedAt).Milliseconds())
}
