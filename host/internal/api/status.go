package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"google.golang.org/grpc"

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
	plugins, unread := s.deps.Plugins.Plugins(ctx)
	config := s.deps.Config.Status(ctx)
	failing, err := s.failing(ctx)
	if err != nil && !errors.Is(err, store.ErrDamaged) { // of which kept tells
		return nil, err
	}
	stuck, err := s.stuck(ctx)
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		return nil, err
	}
	waiting, err := s.waiting(ctx)
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		return nil, err
	}
	parked, err := s.parked(ctx, plugins)
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		return nil, err
	}
	reasons := slices.Concat(s.reasons(kept, plugins, config, unread), parked, stuck, failing, waiting)
	state := "ok"
	if len(reasons) > 0 {
		state = "degraded"
	}
	isolation, why := s.isolation()
	return &hostv1.GetStatusResponse{
		State:        state,
		Reasons:      reasons,
		Version:      s.opts.Version,
		Pid:          count(os.Getpid()),
		StartedAt:    timestamp(s.started),
		Epoch:        kept.Epoch,
		Config:       &hostv1.StatusConfig{File: config.File, AppliedAt: timestamp(config.AppliedAt), Problems: s.problems(config.Problems)},
		Store:        s.storeStatus(kept),
		Plugins:      s.plugins(plugins),
		Tenants:      count(int(kept.Tenants)),
		Integrations: byName(kept.Integrations),
		Runs:         byName(kept.Runs),
		LanesDue:     kept.LanesDue,
		Isolation:    isolation,
		Http:         s.webAddress(),

		IsolationReasons: why,
	}, nil
}

// waiting tells of calls that a person has to look at.
func (s *statusService) waiting(ctx context.Context) ([]string, error) {
	n, err := s.deps.Calls.CallCounts(ctx)
	if err != nil || n.Unknown == 0 {
		return nil, err
	}
	return []string{fmt.Sprintf("a write for a call may have arrived and nobody knows: it waits for a person in %d calls (hint: jackfield call list --unknown)", n.Unknown)}, nil
}

// isolation tells what keeps plugins from what is not theirs.
func (s *Server) isolation() (level string, reasons []string) {
	if s.opts.Isolation == nil {
		return "none", nil
	}
	return s.opts.Isolation()
}

// web asks how the HTTP listener is.
func (s *Server) web() (net.Addr, error) {
	if s.opts.Web == nil {
		return nil, nil
	}
	return s.opts.Web()
}

// webAddress returns where the HTTP listener answers; empty while it does not.
func (s *Server) webAddress() string {
	if addr, _ := s.web(); addr != nil {
		return addr.String()
	}
	return ""
}

// VerifyStore answers each violation that the store finds.
func (s *statusService) VerifyStore(_ *hostv1.VerifyStoreRequest, out grpc.ServerStreamingServer[hostv1.VerifyStoreResponse]) error {
	found, err := s.deps.Store.Verify(out.Context())
	if err != nil {
		return err
	}
	for _, v := range found {
		if err := out.Send(&hostv1.VerifyStoreResponse{Violation: &hostv1.Violation{Row: v.Row, Name: v.Name, Rule: v.Rule, Found: v.Found}}); err != nil {
			return err
		}
	}
	return nil
}

// longLog is a log of the store that has grown far over what it grows to while it
// is written back.
const longLog = 256 << 20

// reasons lists what needs a person.
func (s *statusService) reasons(kept store.Status, plugins []Plugin, config ConfigStatus, unread error) []string {
	var reasons []string
	if files := faulty(config.Problems); len(files) > 0 {
		reasons = append(reasons, "the configuration files have errors; the last good configuration is in force: "+strings.Join(files, ", "))
	}
	if config.Paused {
		reasons = append(reasons, "the host is paused: no run begins or goes on (hint: paused: false in "+config.File+")")
	}
	if kept.Full {
		reasons = append(reasons, "the disk is full: nothing is begun and nothing can be changed; the work goes on by itself when there is room (hint: make room where "+kept.Path+" is)")
	}
	if kept.WALBytes > longLog {
		reasons = append(reasons, fmt.Sprintf("the log of the store has %d MiB: something reads it for long, so that it cannot be written back (hint: end other programs that have %s open)", kept.WALBytes>>20, kept.Path))
	}
	if kept.Frozen != "" {
		reasons = append(reasons, "nothing is written any more: "+kept.Frozen)
	}
	if err := s.deps.Database.Snapshots().Err; err != nil {
		reasons = append(reasons, "the newest snapshot of the store failed: "+err.Error())
	}
	if e := s.crowded(); e != nil {
		reasons = append(reasons, e.Message+" (hint: "+e.Hint+")")
	}
	if s.opts.Room != nil {
		if err := s.opts.Room(); err != nil {
			reasons = append(reasons, "no process can be started: "+err.Error())
		}
	}
	if unread != nil {
		text := "the plugins cannot be looked for: " + unread.Error()
		if e, ok := errors.AsType[*Error](unread); ok && e.Hint != "" {
			text += " (hint: " + e.Hint + ")"
		}
		reasons = append(reasons, text)
	}
	if _, err := s.web(); err != nil {
		reasons = append(reasons, "the HTTP listener does not serve: "+err.Error())
	}
	for _, p := range plugins {
		switch {
		case p.State == "backoff", p.State == "quarantined", p.State == "withdrawn" && !replaced(p, plugins):
			reasons = append(reasons, fmt.Sprintf("plugin %s does not serve: %s", p.Name, p.Reason))
		case p.State == "refused" || p.State == "withdrawn":
			reasons = append(reasons, fmt.Sprintf("version %s of plugin %s does not take over: %s", p.Version, p.Name, p.Reason))
		case p.State == "" && !slices.Contains([]string{"", "approved", "kept", "ignored", "pinned", "rejected"}, p.Verdict):
			reasons = append(reasons, fmt.Sprintf("%s is not loaded (%s): %s", p.File, p.Verdict, p.Reason))
		}
		reasons = append(reasons, p.unserved()...)
	}
	for _, state := range slices.Sorted(maps.Keys(kept.Integrations)) {
		n := kept.Integrations[state]
		if n > 0 && state != store.IntegrationActive && state != store.IntegrationDisabled {
			reasons = append(reasons, fmt.Sprintf("integrations that are %s: %d (hint: jackfield integration list)", state, n))
		}
	}
	for i := range reasons {
		reasons[i] = s.opts.Redact(reasons[i])
	}
	return reasons
}

// replaced reports whether another program has the place of p.
func replaced(p Plugin, plugins []Plugin) bool {
	return slices.ContainsFunc(plugins, func(o Plugin) bool { return o.Name == p.Name && o.Digest != p.Digest && o.State != "" })
}

// faulty returns the files with errors, each once.
func faulty(problems []Problem) []string {
	var files []string
	for _, p := range problems {
		if p.Severity == SeverityError && !slices.Contains(files, p.File) {
			files = append(files, p.File)
		}
	}
	return files
}

// The bounds of the look for integrations that fail.
const (
	maxFailed  = 50 // runs that are looked at
	maxFailing = 5  // integrations that are named
)

// failing names the integrations whose newest run that has ended did not end
// well. It looks at the newest failed runs alone: an older one has others before
// it.
func (s *statusService) failing(ctx context.Context) ([]string, error) {
	runs, err := s.deps.Store.Runs(ctx, store.RunFilter{State: store.RunError, Limit: maxFailed})
	if err != nil {
		return nil, err
	}
	var reasons []string
	seen := map[int64]bool{}
	for _, r := range runs {
		if seen[r.IntegrationID] || len(reasons) == maxFailing {
			continue
		}
		seen[r.IntegrationID] = true
		newest, err := s.newestEnded(ctx, r.IntegrationID)
		if err != nil {
			return nil, err
		}
		if newest.ID != r.ID {
			continue
		}
		text := fmt.Sprintf("run %d of %s/%s failed", r.ID, r.Tenant, r.Integration)
		if r.Failure != nil {
			text += ": " + r.Failure.Message
		}
		text += fmt.Sprintf(" (hint: jackfield run show %d)", r.ID)
		reasons = append(reasons, s.opts.Redact(text))
	}
	return reasons, nil
}

// stuck tells of the newest runs that make no progress, and what they wait for
// (C33).
func (s *statusService) stuck(ctx context.Context) ([]string, error) {
	runs, err := s.deps.Store.Runs(ctx, store.RunFilter{State: store.RunProcessing, Stuck: true, Limit: maxFailing})
	if err != nil {
		return nil, err
	}
	of := &runService{Server: s.Server}
	var reasons []string
	for _, r := range runs {
		troubled, err := of.troubled(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		why, err := of.why(ctx, r, troubled)
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("run %d of %s/%s: %s", r.ID, r.Tenant, r.Integration, why)
		if !strings.Contains(why, "(hint: ") {
			text += fmt.Sprintf(" (hint: jackfield run show %d; if it does not go on: jackfield plugin restart %s)", r.ID, r.Plugin)
		}
		reasons = append(reasons, s.opts.Redact(text))
	}
	return reasons, nil
}

// newestEnded returns the newest run of an integration that has ended.
func (s *statusService) newestEnded(ctx context.Context, integration int64) (store.Run, error) {
	runs, err := s.deps.Store.Runs(ctx, store.RunFilter{IntegrationID: integration, Limit: recentRuns})
	if err != nil {
		return store.Run{}, err
	}
	for _, r := range runs {
		if r.State.Terminal() && r.State != store.RunCancelled {
			return r, nil
		}
	}
	return store.Run{}, nil
}

func (s *statusService) storeStatus(kept store.Status) *hostv1.StatusStore {
	return &hostv1.StatusStore{
		Path:          kept.Path,
		Records:       kept.Records,
		DatabaseBytes: kept.DatabaseBytes,
		WalBytes:      kept.WALBytes,
		Position:      position{at: kept.Position}.String(),
		Snapshots:     s.snapshots(),
		Full:          kept.Full,
	}
}

func byName[K ~string](m map[K]int64) map[string]int64 {
	out := make(map[string]int64, len(m))
	for k, n := range m {
		out[string(k)] = n
	}
	return out
}
