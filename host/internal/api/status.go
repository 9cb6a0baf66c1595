package api

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

type statusService struct {
	hostv1.UnimplementedStatusServiceServer
	*Server
}

// GetStatus answers on one page what runs and what does not.
func (s *statusService) GetStatus(ctx context.Context, _ *hostv1.GetStatusRequest) (*hostv1.GetStatusResponse, error) {
	kept, err := s.deps.Store.Status(ctx)
	if err != nil {
		return nil, err
	}
	plugins, err := s.deps.Plugins.Plugins(ctx)
	if err != nil {
		return nil, err
	}
	config := s.deps.Config.Status(ctx)
	reasons := s.reasons(kept, plugins, config)
	state := "ok"
	if len(reasons) > 0 {
		state = "degraded"
	}
	return &hostv1.GetStatusResponse{
		State:        state,
		Reasons:      reasons,
		Version:      s.opts.Version,
		Pid:          count(os.Getpid()),
		StartedAt:    timestamp(s.started),
		Epoch:        kept.Epoch,
		Config:       &hostv1.StatusConfig{File: config.File, AppliedAt: timestamp(config.AppliedAt), Problems: s.problems(config.Problems)},
		Store:        storeStatus(kept),
		Plugins:      s.plugins(plugins),
		Tenants:      count(int(kept.Tenants)),
		Integrations: byName(kept.Integrations),
		Runs:         byName(kept.Runs),
		LanesDue:     kept.LanesDue,
		Isolation:    "none",
	}, nil
}

// reasons lists what needs a person.
func (s *statusService) reasons(kept store.Status, plugins []Plugin, config ConfigStatus) []string {
	var reasons []string
	if (Report{Problems: config.Problems}).failed() {
		reasons = append(reasons, "the configuration files have errors; the last good configuration is in force")
	}
	for _, p := range plugins {
		switch {
		case p.State == "backoff":
			reasons = append(reasons, fmt.Sprintf("plugin %s does not serve: %s", p.Name, p.Reason))
		case p.State == "" && !slices.Contains([]string{"", "approved", "kept", "ignored"}, p.Verdict):
			reasons = append(reasons, fmt.Sprintf("%s is not loaded (%s): %s", p.File, p.Verdict, p.Reason))
		}
	}
	for _, state := range slices.Sorted(maps.Keys(kept.Integrations)) {
		n := kept.Integrations[state]
		if n > 0 && state != store.IntegrationActive && state != store.IntegrationDisabled {
			reasons = append(reasons, fmt.Sprintf("integrations that are %s: %d", state, n))
		}
	}
	for i := range reasons {
		reasons[i] = s.opts.Redact(reasons[i])
	}
	return reasons
}

func storeStatus(kept store.Status) *hostv1.StatusStore {
	return &hostv1.StatusStore{
		Path:          kept.Path,
		Records:       kept.Records,
		DatabaseBytes: kept.DatabaseBytes,
		WalBytes:      kept.WALBytes,
		Position:      strconv.FormatInt(kept.Position, 10),
	}
}

func byName[K ~string](m map[K]int64) map[string]int64 {
	out := make(map[string]int64, len(m))
	for k, n := range m {
		out[string(k)] = n
	}
	return out
}
