package api

import (
	"context"
	"errors"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

type eventStore interface {
	RecentEvents(ctx context.Context, f store.EventFilter) ([]store.Event, error)
	IntegrationByID(ctx context.Context, id int64) (store.Integration, error)
}

type eventService struct {
	hostv1.UnimplementedEventServiceServer
	*Server
}

// ListEvents returns a page of them, the newest first.
func (s *eventService) ListEvents(ctx context.Context, req *hostv1.ListEventsRequest) (*hostv1.ListEventsResponse, error) {
	before, err := parsePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	integration, err := s.integrationID(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	list, err := s.deps.Store.RecentEvents(ctx, store.EventFilter{
		IntegrationID: integration, Kind: req.GetKind(), Limit: size + 1, Before: before,
	})
	if err != nil {
		return nil, err
	}
	list, next := page(list, size, func(e store.Event) int64 { return e.ID })
	names, err := s.namesOf(ctx, list)
	if err != nil {
		return nil, err
	}
	return &hostv1.ListEventsResponse{Next: next, Events: convert(list, func(e store.Event) *hostv1.Event {
		return &hostv1.Event{
			Id: idText(e.ID), At: timestamp(e.At), Kind: e.Kind, Integration: names[e.IntegrationID], RunId: idText(e.RunID),
			Data: []byte(s.opts.Redact(string(e.Data))),
		}
	})}, nil
}

// namesOf returns the names of the integrations that events concern. One that is
// gone has none.
func (s *eventService) namesOf(ctx context.Context, list []store.Event) (map[int64]string, error) {
	names := map[int64]string{0: ""}
	for _, e := range list {
		if _, ok := names[e.IntegrationID]; ok {
			continue
		}
		in, err := s.deps.Store.IntegrationByID(ctx, e.IntegrationID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			names[e.IntegrationID] = ""
		case err != nil:
			return nil, err
		default:
			names[e.IntegrationID] = in.FullName()
		}
	}
	return names, nil
}
