package api

import (
	"context"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

type configService struct {
	hostv1.UnimplementedConfigServiceServer
	*Server
}

// Reload reads, validates and applies the files.
func (s *configService) Reload(ctx context.Context, req *hostv1.ReloadRequest) (*hostv1.ReloadResponse, error) {
	report, err := s.deps.Config.Reload(ctx, req.GetConfirm())
	if err != nil {
		return nil, err
	}
	return &hostv1.ReloadResponse{Changes: convert(report.Changes, change), Problems: s.problems(report.Problems)}, nil
}

// Diff tells what a reload would do.
func (s *configService) Diff(ctx context.Context, _ *hostv1.DiffRequest) (*hostv1.DiffResponse, error) {
	report, err := s.deps.Config.Diff(ctx)
	if err != nil {
		return nil, err
	}
	return &hostv1.DiffResponse{Changes: convert(report.Changes, change), Problems: s.problems(report.Problems)}, nil
}

func change(c store.Change) *hostv1.Change {
	return &hostv1.Change{
		Op:          string(c.Op),
		Integration: c.Spec.Tenant + "/" + c.Spec.Name,
		Uid:         c.UID,
		Plugin:      c.Spec.Plugin,
		Fields:      c.Fields,
		File:        c.Spec.File,
		Line:        count(c.Spec.Line),
	}
}
