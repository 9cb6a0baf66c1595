package api

import (
	"context"
	"errors"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

type streamStore interface {
	Stream(ctx context.Context, id int64) (store.Stream, error)
	Streams(ctx context.Context, f store.StreamFilter) ([]store.Stream, error)
	RetryStream(ctx context.Context, id int64) (store.Stream, error)
	ProcessStream(ctx context.Context, id int64, force bool) (store.Stream, error)
	FailedStreams(ctx context.Context, f store.FailedFilter) ([]int64, error)
	OpenStreams(ctx context.Context, plugin string, integrationID int64) (int64, error)
	SkipStream(ctx context.Context, id int64, reason string) (store.Stream, error)
}

type streamService struct {
	hostv1.UnimplementedStreamServiceServer
	*Server
}

// ListStreams returns a page of them, in the order they were made.
func (s *streamService) ListStreams(ctx context.Context, req *hostv1.ListStreamsRequest) (*hostv1.ListStreamsResponse, error) {
	after, err := parsePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	if err := checkState(req.GetState(), store.StreamTransitions()); err != nil {
		return nil, err
	}
	f := store.StreamFilter{Connector: req.GetConnector(), State: store.StreamState(req.GetState()), System: req.GetSystem(), After: after}
	if req.GetRunId() != "" {
		run, err := s.findRun(ctx, req.GetRunId())
		if err != nil {
			return nil, err
		}
		f.RunID = run.ID
	}
	if f.IntegrationID, err = s.integrationID(ctx, req.GetIntegration()); err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	f.Limit = size + 1
	list, err := s.deps.Store.Streams(ctx, f)
	if err != nil {
		return nil, err
	}
	list, next := page(list, size, func(st store.Stream) int64 { return st.ID })
	return &hostv1.ListStreamsResponse{Streams: convert(list, s.stream), Next: next}, nil
}

// GetStream returns one.
func (s *streamService) GetStream(ctx context.Context, req *hostv1.GetStreamRequest) (*hostv1.GetStreamResponse, error) {
	st, err := s.findStream(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &hostv1.GetStreamResponse{Stream: s.stream(st)}, nil
}

// RetryStream tries one again that ended as error.
func (s *streamService) RetryStream(ctx context.Context, req *hostv1.RetryStreamRequest) (*hostv1.RetryStreamResponse, error) {
	st, err := s.findStream(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	if st, err = s.deps.Store.RetryStream(ctx, st.ID); err != nil {
		return nil, s.streamConflict(ctx, req.GetId(), "tried again", err)
	}
	return &hostv1.RetryStreamResponse{Stream: s.stream(st)}, nil
}

// SkipStream gives one up that waits or failed.
func (s *streamService) SkipStream(ctx context.Context, req *hostv1.SkipStreamRequest) (*hostv1.SkipStreamResponse, error) {
	st, err := s.findStream(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	reason := req.GetReason()
	if reason == "" {
		reason = "by a person"
	}
	if st, err = s.deps.Store.SkipStream(ctx, st.ID, reason); err != nil {
		return nil, s.streamConflict(ctx, req.GetId(), "skipped", err)
	}
	return &hostv1.SkipStreamResponse{Stream: s.stream(st)}, nil
}

func (s *streamService) streamConflict(ctx context.Context, id, what string, err error) error {
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	st, findErr := s.findStream(ctx, id)
	if findErr != nil {
		return err
	}
	return &Error{
		Kind: KindConflict, Message: "stream " + id + " is " + string(st.State) + " and cannot be " + what,
		Hint: "jackfield stream show " + id,
	}
}

func (s *Server) findStream(ctx context.Context, text string) (store.Stream, error) {
	id, err := parseID("stream", text)
	if err != nil {
		return store.Stream{}, err
	}
	st, err := s.deps.Store.Stream(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return st, notFound("stream", text, "jackfield stream list")
	}
	return st, err
}

// stream leaves out what is the plugin's own: data, page, checkpoint, cursor.
func (s *Server) stream(st store.Stream) *hostv1.Stream {
	return &hostv1.Stream{
		Id:           idText(st.ID),
		RunId:        idText(st.RunID),
		ParentId:     idText(st.ParentID),
		Type:         string(st.Type),
		Identifier:   st.Ident,
		Connector:    st.Connector,
		State:        string(st.State),
		Pages:        st.Pages,
		Attempts:     count(st.Attempts),
		Interrupts:   count(st.Interrupts),
		DueAt:        timestamp(st.DueAt),
		LastRecord:   st.LastRecord,
		LastRecordAt: timestamp(st.LastRecordAt),
		CreatedAt:    timestamp(st.CreatedAt),
		UpdatedAt:    timestamp(st.UpdatedAt),
		ProcessedAt:  timestamp(st.ProcessedAt),
		Stats: &hostv1.StreamStats{
			Read: st.Stats.Read, Added: st.Stats.Added, Updated: st.Stats.Updated, Deleted: st.Stats.Deleted,
			Unchanged: st.Stats.Unchanged, Stale: st.Stats.Stale, Warnings: st.Stats.Warnings,
		},
		Failure: s.failure(st.Failure),
	}
}
