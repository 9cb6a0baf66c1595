package api

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

func (r *rig) records() hostv1.RecordServiceClient { return hostv1.NewRecordServiceClient(r.dial()) }

func commit(position int64, kind string) store.StoredRecord {
	return store.StoredRecord{
		Record: store.Record{Kind: kind, ExternalID: "e" + strconv.FormatInt(position, 10), Position: position, Data: []byte(`{"n":1}`)},
		Tenant: "acme", Integration: "history",
	}
}

// rows: O47
func TestRecordsArePagedByPosition(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) {
		for i := range int64(5) {
			f.records = append(f.records, commit(i+1, "activity"))
		}
		f.records[2].Deleted = true
	})
	first, err := r.records().ListRecords(r.ctx(), &hostv1.ListRecordsRequest{PageSize: 2})
	require.NoError(t, err)
	require.Len(t, first.GetRecords(), 2)
	require.Equal(t, "0-2.5", first.GetNext())
	require.Equal(t, first.GetNext(), first.GetPosition())
	require.Equal(t, "acme/history", first.GetRecords()[0].GetIntegration())
	rest, err := r.records().ListRecords(r.ctx(), &hostv1.ListRecordsRequest{From: first.GetNext(), Deleted: true})
	require.NoError(t, err)
	require.Len(t, rest.GetRecords(), 3)
	require.Empty(t, rest.GetNext())
	require.Equal(t, "0-5", rest.GetPosition())
	one, err := r.records().ListRecords(r.ctx(), &hostv1.ListRecordsRequest{ExternalId: "e4"})
	require.NoError(t, err)
	require.Len(t, one.GetRecords(), 1)
}

// rows: K23
func TestPositionsAreOpaque(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) {
		f.records = append(f.records, commit(50, "activity"), commit(100, "activity"))
		f.forgotten = 60
	})
	for _, from := range []string{"0-z", "0-1z", "0-1o.2s", "0-2s", "", "0"} {
		_, err := r.records().ListRecords(r.ctx(), &hostv1.ListRecordsRequest{From: from})
		if from == "0-z" { // 35, and deletions up to 60 are forgotten
			require.Equal(t, codes.OutOfRange, status.Code(err))
			require.Equal(t, "position_expired", info(t, err).GetCode())
			require.NotEmpty(t, info(t, err).GetHint())
			continue
		}
		require.NoError(t, err, from)
	}
	for _, from := range []string{"100", "now-ish", "0-", "0--1", "0-+1", "0-01", "0-Z", "1-2", "0-2s.", "0-2s.1", "0-2t", "0-z.2t", "0-1 "} {
		_, err := r.records().ListRecords(r.ctx(), &hostv1.ListRecordsRequest{From: from})
		require.Equal(t, codes.InvalidArgument, status.Code(err), from)
		require.NotEmpty(t, info(t, err).GetHint(), from)
		stream, err := r.records().TailRecords(r.ctx(), &hostv1.TailRecordsRequest{From: from})
		require.NoError(t, err)
		_, err = stream.Recv()
		require.Equal(t, codes.InvalidArgument, status.Code(err), from)
	}
}

func TestPagesOfLargeRecordsAreShort(t *testing.T) {
	t.Parallel()
	large := make([]byte, maxPageBytes/2)
	list := []store.StoredRecord{{}, {}, {}}
	for i := range list {
		list[i].Data = large
	}
	require.Equal(t, 2, fitting(list))
	list[0].Data = make([]byte, maxPageBytes+1)
	require.Equal(t, 1, fitting(list), "one goes in any case")
	require.Zero(t, fitting(nil))
}

func TestTailGoesOnWithWhatComes(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.records = []store.StoredRecord{commit(1, "activity"), commit(2, "member")} })
	tail := func(req *hostv1.TailRecordsRequest) func() string {
		stream, err := r.records().TailRecords(r.ctx(), req)
		require.NoError(t, err)
		return func() string {
			resp, err := stream.Recv()
			require.NoError(t, err)
			if resp.GetRecord().GetDeleted() {
				return "-" + resp.GetRecord().GetExternalId()
			}
			return resp.GetRecord().GetExternalId()
		}
	}
	all := tail(&hostv1.TailRecordsRequest{})
	require.Equal(t, "e1", all())
	require.Equal(t, "e2", all())
	after := tail(&hostv1.TailRecordsRequest{From: "0-1"})
	require.Equal(t, "e2", after())
	activities := tail(&hostv1.TailRecordsRequest{Kind: "activity"})
	require.Equal(t, "e1", activities())
	living := tail(&hostv1.TailRecordsRequest{Deleted: new(false), From: "0-2"})
	r.store.edit(func(f *fakeStore) {
		gone := commit(3, "activity")
		gone.Deleted = true
		f.records = append(f.records, gone)
	})
	require.Equal(t, "-e3", all())
	require.Equal(t, "-e3", after())
	require.Equal(t, "-e3", activities())
	r.store.edit(func(f *fakeStore) {
		for i := range int64(2*tailPage + 10) {
			f.records = append(f.records, commit(4+i, "activity"))
		}
	})
	for i := range 2*tailPage + 10 {
		want := "e" + strconv.Itoa(4+i)
		require.Equal(t, want, living())
		require.Equal(t, want, all())
		require.Equal(t, want, after())
		require.Equal(t, want, activities())
	}
}

func TestTailFromNow(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.records = []store.StoredRecord{commit(1, "activity")} })
	stream, err := r.records().TailRecords(r.ctx(), &hostv1.TailRecordsRequest{From: "now"})
	require.NoError(t, err)
	// Whether the tail began before or after the first of these, the last is new.
	got := make(chan string, 1)
	go func() {
		resp, err := stream.Recv()
		if err == nil {
			got <- resp.GetRecord().GetExternalId()
		}
		close(got)
	}()
	for i := int64(2); ; i++ {
		select {
		case id := <-got:
			require.NotEqual(t, "e1", id)
			require.NotEmpty(t, id)
			return
		default:
			r.store.edit(func(f *fakeStore) { f.records = append(f.records, commit(i, "activity")) })
		}
	}
}
