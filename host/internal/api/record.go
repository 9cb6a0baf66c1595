package api

import (
	"context"

	"google.golang.org/grpc"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

type recordStore interface {
	Feed(ctx context.Context, f store.RecordFilter) (store.FeedPage, error)
	Position(ctx context.Context) (int64, error)
	Parents(ctx context.Context, records []store.StoredRecord) (map[store.RecordKey]bool, error)
}

type recordService struct {
	hostv1.UnimplementedRecordServiceServer
	*Server
}

// ListRecords returns a page of them, in the order they changed. A page ends
// early where its records are large.
func (s *recordService) ListRecords(ctx context.Context, req *hostv1.ListRecordsRequest) (*hostv1.ListRecordsResponse, error) {
	from, err := s.position(ctx, req.GetFrom())
	if err != nil {
		return nil, err
	}
	integration, err := s.integrationID(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	read, err := s.deps.Store.Feed(ctx, store.RecordFilter{
		Tenant: req.GetTenant(), IntegrationID: integration, Kind: req.GetKind(), ExternalID: req.GetExternalId(),
		Deleted: req.GetDeleted(), After: from.at, Since: from.since, Limit: size + 1,
	})
	if err != nil {
		return nil, err
	}
	resp := &hostv1.ListRecordsResponse{}
	list := read.Records
	if fit := min(size, fitting(list)); fit < len(list) {
		list = list[:fit]
		read.Through = list[fit-1].Position
		resp.Next = position{read.Through, read.Since}.String()
	}
	resp.Position = position{read.Through, read.Since}.String()
	resp.Records = convert(list, func(r store.StoredRecord) *hostv1.Record { return record(r, read.Since) })
	if req.GetParents() {
		err = s.findParents(ctx, list, resp.GetRecords())
	}
	return resp, err
}

// findParents tells of each record that names a parent whether it is there.
func (s *recordService) findParents(ctx context.Context, list []store.StoredRecord, out []*hostv1.Record) error {
	there, err := s.deps.Store.Parents(ctx, list)
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].ParentID != "" {
			out[i].ParentFound = new(there[list[i].ParentKey()])
		}
	}
	return nil
}

// position reads where a reader of the feed goes on.
func (s *recordService) position(ctx context.Context, text string) (position, error) {
	newest, err := s.deps.Store.Position(ctx)
	if err != nil {
		return position{}, err
	}
	if text == "now" {
		return position{at: newest}, nil
	}
	return parsePosition(text, newest)
}

// maxPageBytes bounds the data of a page of records.
const maxPageBytes = 32 << 20

// fitting returns how many of the records make a page of bounded size; at least
// one.
func fitting(list []store.StoredRecord) int {
	total := 0
	for i, r := range list {
		total += len(r.Data)
		if total > maxPageBytes {
			return max(1, i)
		}
	}
	return len(list)
}

// tailPage is how many records a tail reads at once.
const tailPage = 200

// TailRecords sends what is there and then what changes, until the caller goes.
// A record that changes again before it is sent is sent once, as it is then.
func (s *recordService) TailRecords(req *hostv1.TailRecordsRequest, out grpc.ServerStreamingServer[hostv1.TailRecordsResponse]) error {
	release, err := s.acquire()
	if err != nil {
		return err
	}
	defer release()
	ctx := out.Context()
	f := store.RecordFilter{Tenant: req.GetTenant(), Kind: req.GetKind(), Deleted: req.Deleted == nil || req.GetDeleted(), Limit: tailPage}
	if f.IntegrationID, err = s.integrationID(ctx, req.GetIntegration()); err != nil {
		return err
	}
	from, err := s.position(ctx, req.GetFrom())
	if err != nil {
		return err
	}
	f.After, f.Since = from.at, from.since
	for {
		changed := s.changed()
		page, err := s.deps.Store.Feed(ctx, f)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if err := out.Send(&hostv1.TailRecordsResponse{Record: record(r, page.Since)}); err != nil {
				return err
			}
		}
		f.After, f.Since = page.Through, page.Since
		if len(page.Records) == tailPage {
			continue
		}
		if err := s.wait(ctx, changed); err != nil {
			return err
		}
	}
}

// record converts one that was read by a reader that began since then.
func record(r store.StoredRecord, since int64) *hostv1.Record {
	return &hostv1.Record{
		Position:    position{r.Position, since}.String(),
		Change:      string(r.Change),
		Integration: r.Tenant + "/" + r.Integration,
		Kind:        r.Kind,
		ExternalId:  r.ExternalID,
		ParentKind:  r.ParentKind,
		ParentId:    r.ParentID,
		OccurredAt:  timestamp(r.OccurredAt),
		Deleted:     r.Deleted,
		Data:        r.Data,
	}
}
