package api

import (
	"context"
	"errors"
	"strings"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// RetryStreams tries a page of streams again that ended as error.
func (s *streamService) RetryStreams(ctx context.Context, req *hostv1.RetryStreamsRequest) (*hostv1.RetryStreamsResponse, error) {
	if req.GetPlugin() == "" && req.GetIntegration() == "" {
		return nil, invalid("name one of them", "neither a plugin nor an integration is named")
	}
	after, err := parsePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	integration, err := s.integrationID(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	ids, err := s.deps.Store.FailedStreams(ctx, store.FailedFilter{
		Plugin: req.GetPlugin(), IntegrationID: integration, Limit: size + 1, After: after,
	})
	if err != nil {
		return nil, err
	}
	ids, next := page(ids, size, func(id int64) int64 { return id })
	resp := &hostv1.RetryStreamsResponse{Next: next}
	for _, id := range ids {
		_, err := s.deps.Store.RetryStream(ctx, id)
		switch {
		case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound): // somebody was faster, or it may not run
			resp.Refused++
			resp.Reason = s.opts.Redact(conflictText(err))
		case err != nil:
			return nil, err
		default:
			resp.Retried++
		}
	}
	resp.Open, err = s.deps.Store.OpenStreams(ctx, req.GetPlugin(), integration)
	return resp, err
}

// conflictText is err without the words that only say that it is a conflict.
func conflictText(err error) string {
	text := err.Error()
	if h, ok := errors.AsType[*store.HintError](err); ok {
		text = strings.Replace(text, " (hint: "+h.Hint+")", "", 1)
	}
	return strings.TrimSuffix(text, ": "+store.ErrConflict.Error())
}

// ProcessStream has one worked on now.
func (s *streamService) ProcessStream(ctx context.Context, req *hostv1.ProcessStreamRequest) (*hostv1.ProcessStreamResponse, error) {
	st, err := s.findStream(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	done := st.State == store.StreamProcessed || st.State == store.StreamCancelled
	if done && !req.GetForce() {
		return nil, &Error{
			Kind: KindConflict, Message: "stream " + req.GetId() + " is " + string(st.State),
			Hint: "have it worked on again: jackfield stream process " + req.GetId() + " --force",
		}
	}
	if st, err = s.deps.Store.ProcessStream(ctx, st.ID, req.GetForce()); err != nil {
		return nil, s.streamConflict(ctx, req.GetId(), "worked on now", err)
	}
	return &hostv1.ProcessStreamResponse{Stream: s.stream(st)}, nil
}
