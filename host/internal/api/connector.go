package api

import (
	"context"
	"slices"
	"time"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// ListConnectorStatuses returns a page of how connectors' parts of runs ended.
func (s *runService) ListConnectorStatuses(ctx context.Context, req *hostv1.ListConnectorStatusesRequest) (*hostv1.ListConnectorStatusesResponse, error) {
	before, err := parsePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	codes := []store.ConnectorCode{
		"", store.ConnectorCompleted, store.ConnectorPartial, store.ConnectorFailed, store.ConnectorSkipped, store.ConnectorCancelled,
	}
	if !slices.Contains(codes, store.ConnectorCode(req.GetCode())) {
		return nil, invalid("one of: cancelled, completed, failed, partial, skipped", "there is no code %q", req.GetCode())
	}
	f := store.ConnectorFilter{
		Tenant: req.GetTenant(), Connector: req.GetConnector(), Code: store.ConnectorCode(req.GetCode()), Before: before,
	}
	if req.GetSince() != nil {
		f.Since = req.GetSince().AsTime()
	}
	if req.GetUntil() != nil {
		f.Until = req.GetUntil().AsTime()
	}
	if f.IntegrationID, err = s.integrationID(ctx, req.GetIntegration()); err != nil {
		return nil, err
	}
	if req.GetRunId() != "" {
		run, err := s.findRun(ctx, req.GetRunId())
		if err != nil {
			return nil, err
		}
		f.RunID = run.ID
	}
	size := pageSize(req.GetPageSize())
	f.Limit = size + 1
	list, err := s.deps.Store.ConnectorStatuses(ctx, f)
	if err != nil {
		return nil, err
	}
	list, next := page(list, size, func(c store.ConnectorStatus) int64 { return c.ID })
	return &hostv1.ListConnectorStatusesResponse{Statuses: convert(list, s.connector), Next: next}, nil
}

// connectorsOf returns the parts of a run, in the order of its connectors.
func (s *runService) connectorsOf(ctx context.Context, run store.Run) ([]*hostv1.ConnectorStatus, error) {
	list, err := s.deps.Store.ConnectorStatuses(ctx, store.ConnectorFilter{RunID: run.ID, Limit: maxPage})
	if err != nil {
		return nil, err
	}
	slices.Reverse(list)
	return convert(list, s.connector), nil
}

func (s *Server) connector(c store.ConnectorStatus) *hostv1.ConnectorStatus {
	out := &hostv1.ConnectorStatus{
		Integration: c.Tenant + "/" + c.Integration,
		RunId:       idText(c.RunID),
		Connector:   c.Connector,
		Code:        string(c.Code),
		Message:     s.opts.Redact(c.Message),
		StartedAt:   timestamp(c.StartedAt),
		EndedAt:     timestamp(c.EndedAt),
		Stats: &hostv1.RunStats{
			Read: c.Stats.Read, Added: c.Stats.Added, Updated: c.Stats.Updated, Deleted: c.Stats.Deleted,
			Unchanged: c.Stats.Unchanged, Stale: c.Stats.Stale, Warnings: c.Stats.Warnings,
		},
		Processed: c.Processed,
		Failed:    c.Failed,
		Cancelled: c.Cancelled,
		Data:      c.Data,
	}
	if !c.StartedAt.IsZero() && !c.EndedAt.IsZero() {
		out.DurationMs = max(0, int64(c.EndedAt.Sub(c.StartedAt)/time.Millisecond))
	}
	return out
}
