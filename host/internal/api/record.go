package api

import (
	"context"
	"strconv"

	"google.golang.org/grpc"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

type recordStore interface {
	Records(ctx context.Context, f store.RecordFilter) ([]store.StoredRecord, error)
	Position(ctx context.Context) (int64, error)
}

type recordService struct {
	hostv1.UnimplementedRecordServiceServer
	*Server
}

// ListRecords returns a page of them, in the order they changed. A page ends
// early where its records are large.
func (s *recordService) ListRecords(ctx context.Context, req *hostv1.ListRecordsRequest) (*hostv1.ListRecordsResponse, error) {
	after, err := parsePosition(req.GetFrom())
	if err != nil {
		return nil, err
	}
	integration, err := s.integrationID(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	list, err := s.deps.Store.Records(ctx, store.RecordFilter{
		Tenant: req.GetTenant(), IntegrationID: integration, Kind: req.GetKind(), ExternalID: req.GetExternalId(),
		Deleted: req.GetDeleted(), After: after, Limit: size + 1,
	})
	if err != nil {
		return nil, err
	}
	list, next := page(list, min(size, fitting(list)), func(r store.StoredRecord) int64 { return r.Position })
	return &hostv1.ListRecordsResponse{Records: convert(list, record), Next: next}, nil
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
	f := store.RecordFilter{Tenant: req.GetTenant(), Kind: req.GetKind(), Deleted: req.GetDeleted(), Limit: tailPage}
	if f.IntegrationID, err = s.integrationID(ctx, req.GetIntegration()); err != nil {
		return err
	}
	if req.GetFrom() == "now" {
		f.After, err = s.deps.Store.Position(ctx)
	} else {
		f.After, err = parsePosition(req.GetFrom())
	}
	if err != nil {
		return err
	}
	for {
		changed := s.changed()
		list, err := s.deps.Store.Records(ctx, f)
		if err != nil {
			return err
		}
		for _, r := range list {
			if err := out.Send(&hostv1.TailRecordsResponse{Record: record(r)}); err != nil {
				return err
			}
			f.After = r.Position
		}
		if len(list) == tailPage {
			continue
		}
		if err := s.wait(ctx, changed); err != nil {
			return err
		}
	}
}

func parsePosition(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil || at < 0 {
		return 0, invalid("pass the position of a record, as it is", "%q is not a position", text)
	}
	return at, nil
}

func record(r store.StoredRecord) *hostv1.Record {
	return &hostv1.Record{
		Position:    strconv.FormatInt(r.Position, 10),
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
