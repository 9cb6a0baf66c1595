package api

import (
	"context"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// DeleteIntegration takes an integration away for good.
func (s *integrationService) DeleteIntegration(ctx context.Context, req *hostv1.DeleteIntegrationRequest) (*hostv1.DeleteIntegrationResponse, error) {
	in, err := s.findIntegration(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	if err := s.deps.Store.DeleteIntegration(ctx, in.ID); err != nil {
		return nil, err
	}
	return &hostv1.DeleteIntegrationResponse{Integration: s.integration(in)}, nil
}
