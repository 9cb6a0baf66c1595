package plugin

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeFromProto(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func durationToProto(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func manifestToProto(m sdk.Manifest) *pluginv1.Manifest {
	p := &pluginv1.Manifest{
		Name:              m.Name,
		Label:             m.Label,
		Version:           m.Version,
		Description:       m.Description,
		Icon:              m.Icon,
		Kind:              string(m.Kind),
		SettingsSchema:    m.SettingsSchema,
		Hooks:             m.Hooks,
		Hosts:             m.Hosts,
		Template:          m.Template,
		DedupeContacts:    m.DedupeContacts,
		TemplateText:      m.TemplateText,
		Concurrency:       toInt32(m.Limits.Concurrency),
		ConcurrencyPerRun: toInt32(m.Limits.PerRun),
		PageSize:          toInt32(m.Limits.PageSize),
		Every:             toInt32(m.Every),
		StateWrites:       toInt32(m.State.Writes),
	}
	for _, c := range m.Connectors {
		p.Connectors = append(p.Connectors, &pluginv1.Connector{
			Name: c.Name, Label: c.Label, Order: toInt32(c.Order), Force: c.Force,
			CompleteListing: c.CompleteListing, Versions: c.Versions, Kinds: c.Kinds,
		})
	}
	for _, c := range m.Capabilities {
		p.Capabilities = append(p.Capabilities, string(c))
	}
	for _, v := range m.State.Reads {
		p.StateReads = append(p.StateReads, toInt32(v))
	}
	for _, v := range m.State.MayWrite {
		p.StateMayWrite = append(p.StateMayWrite, toInt32(v))
	}
	return p
}

func manifestFromProto(p *pluginv1.Manifest) sdk.Manifest {
	m := sdk.Manifest{
		Name:           p.GetName(),
		Label:          p.GetLabel(),
		Version:        p.GetVersion(),
		Description:    p.GetDescription(),
		Icon:           p.GetIcon(),
		Kind:           sdk.Kind(p.GetKind()),
		SettingsSchema: p.GetSettingsSchema(),
		Hooks:          p.GetHooks(),
		Hosts:          p.GetHosts(),
		Template:       p.GetTemplate(),
		DedupeContacts: p.GetDedupeContacts(),
		TemplateText:   p.GetTemplateText(),
		Limits:         sdk.Limits{Concurrency: int(p.GetConcurrency()), PerRun: int(p.GetConcurrencyPerRun()), PageSize: int(p.GetPageSize())},
		Every:          int(p.GetEvery()),
		State:          sdk.StateVersions{Writes: int(p.GetStateWrites())},
	}
	for _, c := range p.GetConnectors() {
		m.Connectors = append(m.Connectors, sdk.Connector{
			Name: c.GetName(), Label: c.GetLabel(), Order: int(c.GetOrder()), Force: c.GetForce(),
			CompleteListing: c.GetCompleteListing(), Versions: c.GetVersions(), Kinds: c.GetKinds(),
		})
	}
	for _, c := range p.GetCapabilities() {
		m.Capabilities = append(m.Capabilities, sdk.Capability(c))
	}
	for _, v := range p.GetStateReads() {
		m.State.Reads = append(m.State.Reads, int(v))
	}
	for _, v := range p.GetStateMayWrite() {
		m.State.MayWrite = append(m.State.MayWrite, int(v))
	}
	return m
}

// toInt32 clamps i.
func toInt32(i int) int32 {
	return int32(max(-1<<31, min(1<<31-1, i)))
}

func integrationToProto(in sdk.Integration) *pluginv1.OpenRequest {
	return &pluginv1.OpenRequest{
		Tenant:        in.Tenant,
		Integration:   in.Name,
		IntegrationId: in.ID,
		Revision:      in.Revision,
		Connectors:    in.Connectors,
		Settings:      in.Settings.Reveal(),
		DryRun:        in.DryRun,
		WriteState:    toInt32(in.WriteState),
	}
}

func integrationFromProto(p *pluginv1.OpenRequest) sdk.Integration {
	return sdk.Integration{
		Tenant:     p.GetTenant(),
		Name:       p.GetIntegration(),
		ID:         p.GetIntegrationId(),
		Revision:   p.GetRevision(),
		Connectors: p.GetConnectors(),
		Settings:   sdk.NewSettings(p.GetSettings()),
		DryRun:     p.GetDryRun(),
		WriteState: int(p.GetWriteState()),
	}
}

func runToProto(r sdk.Run) *pluginv1.Run {
	p := &pluginv1.Run{
		Id:           r.ID,
		Kind:         string(r.Kind),
		Onboarding:   r.Onboarding,
		Connectors:   r.Connectors,
		Params:       r.Params,
		StartedAt:    timeToProto(r.StartedAt),
		Preprocessed: r.Preprocessed,
		Service:      r.Service,
	}
	for name, at := range r.Watermarks {
		if p.Watermarks == nil {
			p.Watermarks = make(map[string]*timestamppb.Timestamp, len(r.Watermarks))
		}
		p.Watermarks[name] = timestamppb.New(at)
	}
	return p
}

func runFromProto(p *pluginv1.Run) sdk.Run {
	r := sdk.Run{
		ID:           p.GetId(),
		Kind:         sdk.RunKind(p.GetKind()),
		Onboarding:   p.GetOnboarding(),
		Connectors:   p.GetConnectors(),
		Params:       p.GetParams(),
		StartedAt:    timeFromProto(p.GetStartedAt()),
		Preprocessed: p.GetPreprocessed(),
		Service:      p.GetService(),
	}
	for name, at := range p.GetWatermarks() {
		if r.Watermarks == nil {
			r.Watermarks = make(map[string]time.Time, len(p.GetWatermarks()))
		}
		r.Watermarks[name] = timeFromProto(at)
	}
	return r
}

func streamToProto(s sdk.Stream) *pluginv1.Stream {
	return &pluginv1.Stream{Id: s.ID, Connector: s.Connector, Data: s.Data, Partition: s.Partition, LimitKey: s.LimitKey}
}

func streamFromProto(p *pluginv1.Stream) sdk.Stream {
	return sdk.Stream{ID: p.GetId(), Connector: p.GetConnector(), Data: p.GetData(), Partition: p.GetPartition(), LimitKey: p.GetLimitKey()}
}

func checkpointToProto(c sdk.Checkpoint) *pluginv1.Checkpoint {
	return &pluginv1.Checkpoint{Data: c.Data, Cursor: c.Cursor}
}

func checkpointFromProto(p *pluginv1.Checkpoint) sdk.Checkpoint {
	return sdk.Checkpoint{Data: p.GetData(), Cursor: p.GetCursor()}
}

func outcomeToProto(o sdk.Outcome) *pluginv1.Outcome {
	return &pluginv1.Outcome{
		NextPage:            o.NextPage,
		Cursor:              o.Cursor,
		LastRecord:          o.LastRecord,
		LastRecordTimestamp: timeToProto(o.LastRecordTimestamp),
		Sleep:               durationToProto(o.Sleep),
		RateLimit:           limitToProto(o.RateLimit),
	}
}

func outcomeFromProto(p *pluginv1.Outcome) sdk.Outcome {
	return sdk.Outcome{
		NextPage:            p.GetNextPage(),
		Cursor:              p.GetCursor(),
		LastRecord:          p.GetLastRecord(),
		LastRecordTimestamp: timeFromProto(p.GetLastRecordTimestamp()),
		Sleep:               p.GetSleep().AsDuration(),
		RateLimit:           limitFromProto(p.GetRateLimit()),
	}
}

func limitToProto(l *sdk.RateLimit) *pluginv1.RateLimit {
	if l == nil {
		return nil
	}
	p := &pluginv1.RateLimit{Key: l.Key}
	switch {
	case !l.Until.IsZero():
		p.Reset_ = &pluginv1.RateLimit_Until{Until: timestamppb.New(l.Until)}
	case l.After != 0:
		p.Reset_ = &pluginv1.RateLimit_After{After: durationpb.New(l.After)}
	}
	return p
}

func limitFromProto(p *pluginv1.RateLimit) *sdk.RateLimit {
	if p == nil {
		return nil
	}
	return &sdk.RateLimit{Key: p.GetKey(), After: p.GetAfter().AsDuration(), Until: timeFromProto(p.GetUntil())}
}

func attributesToProto(attributes []sdk.Attribute) []*pluginv1.Attribute {
	p := make([]*pluginv1.Attribute, len(attributes))
	for i, a := range attributes {
		p[i] = &pluginv1.Attribute{Name: a.Name, Label: a.Label, Type: a.Type}
	}
	return p
}

func attributesFromProto(p []*pluginv1.Attribute) []sdk.Attribute {
	attributes := make([]sdk.Attribute, len(p))
	for i, a := range p {
		attributes[i] = sdk.Attribute{Name: a.GetName(), Label: a.GetLabel(), Type: a.GetType()}
	}
	return attributes
}
