package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/jackfield/jackfield/host/internal/schedule"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

type integrationStore interface {
	Integrations(ctx context.Context, f store.IntegrationFilter) ([]store.Integration, error)
	IntegrationByUID(ctx context.Context, uid string) (store.Integration, error)
	IntegrationByName(ctx context.Context, tenant, name string) (store.Integration, error)
	Circuits(ctx context.Context, integrationID int64) ([]store.Circuit, error)
	LimitUse(ctx context.Context, integrationID int64) (store.LimitUse, bool, error)
	DeleteIntegration(ctx context.Context, id int64) error
	HoldIntegration(ctx context.Context, id int64, by string, finish bool) (store.Integration, error)
	ReleaseIntegration(ctx context.Context, id int64, by string) (store.Integration, error)
	RecordCounts(ctx context.Context, integrationID int64) (map[string]int64, error)
}

type integrationService struct {
	hostv1.UnimplementedIntegrationServiceServer
	*Server
}

// ListIntegrations returns a page of them.
func (s *integrationService) ListIntegrations(ctx context.Context, req *hostv1.ListIntegrationsRequest) (*hostv1.ListIntegrationsResponse, error) {
	after, err := parsePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	list, err := s.deps.Store.Integrations(ctx, store.IntegrationFilter{
		Tenant: req.GetTenant(), Plugin: req.GetPlugin(), Limit: size + 1, After: after,
	})
	if err != nil {
		return nil, err
	}
	list, next := page(list, size, func(i store.Integration) int64 { return i.ID })
	return &hostv1.ListIntegrationsResponse{Integrations: convert(list, s.integration), Next: next}, nil
}

// recentRuns stand on the page of an integration.
const recentRuns = 5

// GetIntegration returns one with its settings, secrets masked.
func (s *integrationService) GetIntegration(ctx context.Context, req *hostv1.GetIntegrationRequest) (*hostv1.GetIntegrationResponse, error) {
	in, err := s.findIntegration(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	settings, schema, err := s.deps.Config.Settings(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("open settings of %s: %w", in.FullName(), err)
	}
	records, err := s.deps.Store.RecordCounts(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	runs, err := s.deps.Store.Runs(ctx, store.RunFilter{IntegrationID: in.ID, Limit: recentRuns})
	if err != nil {
		return nil, err
	}
	resp := &hostv1.GetIntegrationResponse{
		Integration: s.integration(in),
		Settings:    maskSettings(settings, schema, s.opts.Redact),
		Records:     records,
		Runs:        convert(runs, s.run),
		Origins:     s.deps.Config.Origins(in),
	}
	if resp.Limit, err = s.limitUse(ctx, in); err != nil {
		return nil, err
	}
	if resp.Info, resp.Iframe, err = s.screenOf(ctx, in); err != nil {
		return nil, err
	}
	if m, ok := s.deps.Plugins.Manifest(ctx, in.Plugin); ok {
		resp.Manifest = manifest(m)
		resp.Manifest.SettingsSchema = nil // plugin show has it
		resp.Connectors = standing(in, m)
	}
	return resp, nil
}

// standing says how the connectors of an integration stand with the version of its
// plugin that there is.
func standing(in store.Integration, m sdk.Manifest) map[string]string {
	out := map[string]string{}
	for _, name := range in.Connectors {
		out[name] = "parked"
	}
	for _, c := range m.Connectors {
		switch {
		case slices.Contains(in.Connectors, c.Name):
			out[c.Name] = "enabled"
		case len(in.Offered) == 0 || slices.Contains(in.Offered, c.Name):
			out[c.Name] = "disabled"
		default:
			out[c.Name] = "new"
		}
	}
	return out
}

// limitUse returns how far the integration's limit is used; nil if it has none.
func (s *Server) limitUse(ctx context.Context, in store.Integration) (*hostv1.LimitUse, error) {
	use, ok, err := s.deps.Store.LimitUse(ctx, in.ID)
	if err != nil || !ok {
		return nil, err
	}
	return &hostv1.LimitUse{
		Records: use.Limit, Used: use.Used, Reset_: timestamp(use.Reset),
		Per: durationpb.New(in.Limit.Per), OnboardingFactor: in.Limit.OnboardingFactor, Key: in.Limit.Key,
	}, nil
}

// CheckIntegration asks the plugin to reach the remote system. That the remote
// refuses is an answer, not an error.
func (s *integrationService) CheckIntegration(ctx context.Context, req *hostv1.CheckIntegrationRequest) (*hostv1.CheckIntegrationResponse, error) {
	in, err := s.findIntegration(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	if in.Template != "" {
		return nil, invalid("jackfield endpoint call "+in.FullName()+" ENDPOINT", "integration %s is of template %s, which has no plugin that could check it", in.FullName(), in.Template)
	}
	var settings []byte
	if len(req.GetSettings()) > 0 {
		var object map[string]json.RawMessage
		if json.Unmarshal(req.GetSettings(), &object) != nil || object == nil {
			return nil, invalid("", "the settings are not a JSON object")
		}
		settings = req.GetSettings()
	}
	begin := s.opts.Now()
	bounded, cancel := context.WithTimeout(ctx, s.opts.CheckTimeout)
	defer cancel()
	err = s.deps.Engine.Check(bounded, in, settings)
	resp := &hostv1.CheckIntegrationResponse{
		Integration: in.FullName(),
		Ok:          err == nil,
		DurationMs:  count(int(s.opts.Now().Sub(begin).Milliseconds())),
	}
	if err == nil {
		return resp, nil
	}
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		resp.Class, resp.Code, resp.Message = string(e.Class), e.Code, s.opts.Redact(e.Message)
		return resp, nil
	}
	if bounded.Err() != nil && ctx.Err() == nil {
		resp.Class, resp.Code = string(sdk.ClassTransient), "timeout"
		resp.Message = "no answer in " + s.opts.CheckTimeout.Round(time.Millisecond).String()
		return resp, nil
	}
	return nil, err
}

// findIntegration returns the integration that a person named: tenant/name, or a
// uid.
func (s *Server) findIntegration(ctx context.Context, name string) (store.Integration, error) {
	const hint = "jackfield integration list"
	var in store.Integration
	var err error
	if name == "" {
		return in, invalid(hint, "no integration is named")
	}
	if tenant, short, ok := strings.Cut(name, "/"); ok {
		in, err = s.deps.Store.IntegrationByName(ctx, tenant, short)
	} else {
		in, err = s.deps.Store.IntegrationByUID(ctx, name)
	}
	if errors.Is(err, store.ErrNotFound) {
		return in, notFound("integration", name, "it is named tenant/name: "+hint)
	}
	return in, err
}

// integrationID is findIntegration for a filter: 0 for no name.
func (s *Server) integrationID(ctx context.Context, name string) (int64, error) {
	if name == "" {
		return 0, nil
	}
	in, err := s.findIntegration(ctx, name)
	return in.ID, err
}

func (s *Server) integration(i store.Integration) *hostv1.Integration {
	out := &hostv1.Integration{
		Uid:         i.UID,
		Id:          i.FullName(),
		Tenant:      i.Tenant,
		Name:        i.Name,
		Label:       i.Label,
		Description: i.Description,
		Plugin:      i.Plugin,
		Template:    i.Template,
		Callcenter:  i.Callcenter,
		Host:        i.Host,
		State:       string(i.State),
		Reason:      s.opts.Redact(i.Reason),
		Connectors:  i.Connectors,
		Every:       ticks(i.Every),
		Concurrency: count(i.Concurrency),
		Revision:    i.Revision,
		CreatedAt:   timestamp(i.CreatedAt),
		UpdatedAt:   timestamp(i.UpdatedAt),
		OnboardedAt: timestamp(i.OnboardedAt),
		LastCheckAt: timestamp(i.LastCheckAt),
		NextCheckAt: timestamp(i.NextCheckAt),
		RemovedAt:   timestamp(i.RemovedAt),
		KeepUntil:   timestamp(i.KeepUntil),
		File:        i.File,
		Line:        count(i.Line),
		Cron:        i.Cron,
		Timezone:    i.Timezone,
		Schedule:    schedule.Of(i).String(),
		Finishing:   i.Finishing,

		PageSize:     count(i.PageSize),
		OnTypeChange: string(i.OnTypeChange),
	}
	if i.Lookup > 0 {
		out.Lookup = durationpb.New(i.Lookup)
	}
	if i.Hold != nil {
		out.DisabledBy, out.DisabledAt = i.Hold.By, timestamp(i.Hold.At)
	}
	return out
}
