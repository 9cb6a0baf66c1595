package api

import (
	"context"
	"strings"
	"unicode"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// DisableIntegration stops an integration until it is enabled again.
func (s *integrationService) DisableIntegration(ctx context.Context, req *hostv1.DisableIntegrationRequest) (*hostv1.DisableIntegrationResponse, error) {
	in, err := s.findIntegration(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	if in, err = s.deps.Store.HoldIntegration(ctx, in.ID, person(req.GetBy()), req.GetFinish()); err != nil {
		return nil, err
	}
	return &hostv1.DisableIntegrationResponse{Integration: s.integration(in)}, nil
}

// EnableIntegration lets an integration be what it was.
func (s *integrationService) EnableIntegration(ctx context.Context, req *hostv1.EnableIntegrationRequest) (*hostv1.EnableIntegrationResponse, error) {
	in, err := s.findIntegration(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	if in, err = s.deps.Store.ReleaseIntegration(ctx, in.ID, person(req.GetBy())); err != nil {
		return nil, err
	}
	return &hostv1.EnableIntegrationResponse{Integration: s.integration(in)}, nil
}

// person returns the name of whoever asks, as it is kept: a short line.
func person(name string) string {
	const longest = 64
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name))
	if runes := []rune(name); len(runes) > longest {
		name = string(runes[:longest])
	}
	if name == "" {
		return "an operator"
	}
	return name
}
