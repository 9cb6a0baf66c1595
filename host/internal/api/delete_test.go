package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// rows: O36
func TestOnlyATenantWithoutFilesIsDeleted(t *testing.T) {
	t.Parallel()
	r := serve(t)
	api := hostv1.NewTenantServiceClient(r.dial())
	req := &hostv1.DeleteTenantRequest{Name: "acme"}
	r.store.edit(func(f *fakeStore) {
		f.tenants = []store.Tenant{{ID: 1, Name: "acme"}, {ID: 2, Name: "globex"}}
		f.integrations = []store.Integration{acme(1, "history")}
	})
	_, err := api.DeleteTenant(r.ctx(), req)
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.NotEmpty(t, info(t, err).GetHint())
	r.store.edit(func(f *fakeStore) { f.integrations[0].RemovedAt = time.Unix(1, 0) })
	resp, err := api.DeleteTenant(r.ctx(), req)
	require.NoError(t, err)
	require.Equal(t, "acme", resp.GetTenant().GetName())
	_, err = api.DeleteTenant(r.ctx(), req)
	require.Equal(t, codes.NotFound, status.Code(err))
	list, err := api.ListTenants(r.ctx(), &hostv1.ListTenantsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetTenants(), 1)
}

// rows: O36
func TestOnlyWhatLeftItsFileIsDeleted(t *testing.T) {
	t.Parallel()
	r := serve(t)
	api := hostv1.NewIntegrationServiceClient(r.dial())
	const name = "acme/history"
	r.store.edit(func(f *fakeStore) { f.integrations = []store.Integration{acme(1, "history")} })
	_, err := api.DeleteIntegration(r.ctx(), &hostv1.DeleteIntegrationRequest{Integration: name})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.Equal(t, "remove it from the file first", info(t, err).GetHint())
	r.store.edit(func(f *fakeStore) { f.integrations[0].RemovedAt = time.Unix(1, 0) })
	resp, err := api.DeleteIntegration(r.ctx(), &hostv1.DeleteIntegrationRequest{Integration: name})
	require.NoError(t, err)
	require.Equal(t, name, resp.GetIntegration().GetId())
	_, err = api.DeleteIntegration(r.ctx(), &hostv1.DeleteIntegrationRequest{Integration: name})
	require.Equal(t, codes.NotFound, status.Code(err))
}
