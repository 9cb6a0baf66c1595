package api

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// rows: I11
//
// Who asks for more than a page gets a page and where it goes on; who says more
// than may be said is told what the cap is.
func TestI11RequestsAreBounded(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.engine.run = store.Run{ID: 7, Tenant: "acme", Integration: "history", State: store.RunProcessing}
	r.store.edit(func(f *fakeStore) {
		f.integrations = []store.Integration{acme(1, "history")}
		for n := range maxPage + 1 {
			f.records = append(f.records, commit(int64(n+1), "activity"))
		}
	})
	page, err := r.records().ListRecords(r.ctx(), &hostv1.ListRecordsRequest{PageSize: 1 << 30})
	require.NoError(t, err)
	require.Len(t, page.GetRecords(), maxPage)
	page, err = r.records().ListRecords(r.ctx(), &hostv1.ListRecordsRequest{PageSize: 1 << 30, From: page.GetNext()})
	require.NoError(t, err)
	require.Len(t, page.GetRecords(), 1, "nothing is lost")

	params := func(n, key, value int) map[string]string {
		out := map[string]string{}
		for i := range n {
			out[strings.Repeat("k", max(key-len(strconv.Itoa(i)), 0))+strconv.Itoa(i)] = strings.Repeat("v", value)
		}
		return out
	}
	for name, c := range map[string]struct {
		fits, over map[string]string
		want       string
	}{
		"maxParams":   {params(maxParams, 1, 1), params(maxParams+1, 1, 1), "33 parameters are more than 32"},
		"maxParamKey": {params(1, maxParamKey, 1), params(1, maxParamKey+1, 1), "does not fit"},
		"maxParam":    {params(1, 1, maxParam), params(1, 1, maxParam+1), "does not fit"},
	} {
		ask := func(params map[string]string) error {
			_, err := r.integrations().SyncIntegration(r.ctx(), &hostv1.SyncIntegrationRequest{Integration: "acme/history", Params: params})
			return err
		}
		require.NoError(t, ask(c.fits), name)
		err := ask(c.over)
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		require.ErrorContains(t, err, c.want, name)
	}
}
