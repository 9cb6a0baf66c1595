package plugin

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

func batchToProto(b sdk.Batch) (*pluginv1.Batch, error) {
	p := &pluginv1.Batch{Records: recordsToProto(b.Records), Settings: b.Settings, Service: b.Service}
	for i := range b.Members {
		m, err := memberToProto(&b.Members[i])
		if err != nil {
			return nil, err
		}
		p.Members = append(p.Members, m)
	}
	for i := range b.Activities {
		a, err := activityToProto(&b.Activities[i])
		if err != nil {
			return nil, err
		}
		p.Activities = append(p.Activities, a)
	}
	for _, s := range b.Streams {
		p.Streams = append(p.Streams, streamToProto(s))
	}
	for _, w := range b.Warnings {
		p.Warnings = append(p.Warnings, &pluginv1.Warning{RecordId: text(w.RecordID), Message: cut(w.Message)})
	}
	return p, nil
}

func batchFromProto(p *pluginv1.Batch) (sdk.Batch, error) {
	if err := known(p); err != nil {
		return sdk.Batch{}, err
	}
	b := sdk.Batch{Records: recordsFromProto(p.GetRecords())}
	if len(p.GetSettings()) > 0 {
		b.Settings = p.GetSettings()
	}
	if len(p.GetService()) > 0 {
		b.Service = p.GetService()
	}
	for _, m := range p.GetMembers() {
		member, err := memberFromProto(m)
		if err != nil {
			return sdk.Batch{}, err
		}
		b.Members = append(b.Members, *member)
	}
	for _, a := range p.GetActivities() {
		activity, err := activityFromProto(a)
		if err != nil {
			return sdk.Batch{}, err
		}
		b.Activities = append(b.Activities, activity)
	}
	for _, s := range p.GetStreams() {
		b.Streams = append(b.Streams, streamFromProto(s))
	}
	for _, w := range p.GetWarnings() {
		b.Warnings = append(b.Warnings, sdk.Warning{RecordID: w.GetRecordId(), Message: w.GetMessage()})
	}
	return b, nil
}

// recordsToProto takes its memory in a few large pieces, for this is the path
// that every record takes.
func recordsToProto(records []sdk.Record) []*pluginv1.Record {
	if len(records) == 0 {
		return nil
	}
	var times, parents, versions int
	for i := range records {
		r := &records[i]
		if !r.OccurredAt.IsZero() {
			times++
		}
		if r.Parent != (sdk.Ref{}) {
			parents++
		}
		versions += len(r.Version)
	}
	var (
		out   = make([]*pluginv1.Record, len(records))
		all   = make([]pluginv1.Record, len(records))
		stamp = make([]timestamppb.Timestamp, times)
		refs  = make([]pluginv1.Ref, parents)
		bytes = make([]byte, 0, versions)
	)
	for i := range records {
		r, p := &records[i], &all[i]
		p.Op, p.Kind, p.ExternalId, p.Data = opToProto(r.Delete, r.Update), r.Kind, r.ID, r.Data
		if !r.OccurredAt.IsZero() {
			stamp[0].Seconds, stamp[0].Nanos = r.OccurredAt.Unix(), int32(r.OccurredAt.Nanosecond()) //nolint:gosec // below 1e9
			p.OccurredAt, stamp = &stamp[0], stamp[1:]
		}
		if r.Parent != (sdk.Ref{}) {
			refs[0].Kind, refs[0].ExternalId = r.Parent.Kind, r.Parent.ID
			p.Parent, refs = &refs[0], refs[1:]
		}
		if r.Version != "" {
			bytes = append(bytes, r.Version...)
			p.Version = bytes[len(bytes)-len(r.Version) : len(bytes) : len(bytes)]
		}
		out[i] = p
	}
	return out
}

func recordsFromProto(p []*pluginv1.Record) []sdk.Record {
	if len(p) == 0 {
		return nil
	}
	records := make([]sdk.Record, len(p))
	for i, r := range p {
		records[i] = sdk.Record{
			Kind:       r.GetKind(),
			ID:         r.GetExternalId(),
			Parent:     sdk.Ref{Kind: r.GetParent().GetKind(), ID: r.GetParent().GetExternalId()},
			Version:    string(r.GetVersion()),
			OccurredAt: timeFromProto(r.GetOccurredAt()),
			Delete:     r.GetOp() == pluginv1.Op_OP_DELETE,
			Update:     r.GetOp() == pluginv1.Op_OP_UPDATE,
			Data:       r.GetData(),
		}
	}
	return records
}
