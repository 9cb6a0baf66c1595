package runner

import (
	"fmt"
	"maps"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// batchSize returns roughly what a batch takes in memory.
func batchSize(b sdk.Batch) int64 {
	n := 0
	for i := range b.Records {
		r := &b.Records[i]
		n += 96 + len(r.Kind) + len(r.ID) + len(r.Data)
	}
	for i := range b.Members {
		n += memberSize(&b.Members[i])
	}
	for i := range b.Activities {
		a := &b.Activities[i]
		n += 256 + len(a.Title) + len(a.Body)
		for _, m := range []*sdk.Member{a.Member, a.ObjectMember} {
			if m != nil {
				n += memberSize(m)
			}
		}
		for k, v := range a.Attributes {
			n += len(k) + len(v)
		}
	}
	for i := range b.Streams {
		n += 128 + len(b.Streams[i].Data)
	}
	for _, values := range []map[string][]byte{b.Settings, b.Service} {
		for k, v := range values {
			n += len(k) + len(v)
		}
	}
	for i := range b.Warnings {
		n += 64 + len(b.Warnings[i].Message)
	}
	return int64(n)
}

func memberSize(m *sdk.Member) int {
	return 256 + len(m.Bio) + 64*(len(m.Emails)+len(m.Identities)+len(m.Attributes)+len(m.Organizations))
}

// add appends a batch.
func (p *part) add(b sdk.Batch, types *types, fresh *told, now time.Time) error {
	if p.records == nil {
		p.records = make([]store.Record, 0, len(b.Records)+len(b.Members)+2*len(b.Activities))
	}
	for i := range b.Records {
		r := &b.Records[i]
		if r.Kind == sdk.KindMember || r.Kind == sdk.KindActivity {
			return &sdk.Error{Class: sdk.ClassSystem, Code: "reserved_kind", Message: fmt.Sprintf("record %s: the kind %q is kept for typed records", r.ID, r.Kind)}
		}
		if err := types.look(r, fresh); err != nil {
			if types.policy == store.TypesHalt {
				return err
			}
			p.warn(r.Kind+"/"+r.ID, err.Error(), now)
			continue
		}
		p.keep(r, now)
	}
	for i := range b.Members {
		r, err := b.Members[i].Record()
		if err != nil {
			return err
		}
		p.keep(&r, now)
	}
	for i := range b.Activities {
		rs, err := b.Activities[i].Records()
		if err != nil {
			return err
		}
		for j := range rs {
			p.keep(&rs[j], now)
		}
	}
	for _, s := range b.Streams {
		p.streams = append(p.streams, store.NewStream{
			Ident: s.ID, Connector: s.Connector, Partition: s.Partition, LimitKey: s.LimitKey, Data: s.Data,
		})
	}
	for _, w := range b.Warnings {
		p.warn(w.RecordID, w.Message, now)
	}
	merge(&p.settings, b.Settings)
	merge(&p.service, b.Service)
	return nil
}

// len returns how many records and streams p has.
func (p *part) len() int { return len(p.records) + len(p.updates) + len(p.streams) }

// keep appends what becomes of a record: an update of some fields, an upsert or a
// delete; a warning, if it is too large to be kept (F25).
func (p *part) keep(r *sdk.Record, now time.Time) {
	if err := sdk.Fits(r.Kind, r.ID, r.Data); err != nil && !r.Delete {
		p.warn(r.Kind+"/"+r.ID, err.Error(), now)
		return
	}
	if r.Update {
		u := store.Update{Kind: r.Kind, ExternalID: r.ID, Patch: r.Data}
		if r.Version != "" {
			u.Version = []byte(r.Version)
		}
		p.updates = append(p.updates, u)
		return
	}
	p.records = append(p.records, storeRecord(r))
}

func (p *part) warn(record, message string, now time.Time) {
	p.warnings = append(p.warnings, store.Warning{RecordID: clean(record, 512), Message: clean(message, 1024), At: now})
}

// merge appends a later part.
func (p *part) merge(q part) {
	if p.records == nil {
		p.records = q.records
	} else {
		p.records = append(p.records, q.records...)
	}
	p.streams = append(p.streams, q.streams...)
	p.warnings = append(p.warnings, q.warnings...)
	p.updates = append(p.updates, q.updates...)
	merge(&p.settings, q.settings)
	merge(&p.service, q.service)
	mergeShapes(&p.shapes, q.shapes)
	if q.cursor != nil {
		p.cursor = q.cursor
	}
	p.checkpoint = q.checkpoint
	p.bytes += q.bytes
}

// merge puts what changes by key into what changed before.
func merge(into *map[string][]byte, changes map[string][]byte) {
	if len(changes) == 0 {
		return
	}
	if *into == nil {
		*into = map[string][]byte{}
	}
	maps.Copy(*into, changes)
}

func storeRecord(r *sdk.Record) store.Record {
	out := store.Record{
		Kind: r.Kind, ExternalID: r.ID, ParentKind: r.Parent.Kind, ParentID: r.Parent.ID,
		OccurredAt: r.OccurredAt, Deleted: r.Delete, Data: r.Data,
	}
	if r.Version != "" {
		out.Version = []byte(r.Version)
	}
	return out
}
