package api

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: O18
func TestForceIsRefusedByTheNameOfTheConnector(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.integrations = []store.Integration{acme(1, "history")} })
	r.plugins.manifests["git"] = sdk.Manifest{Name: "git", Connectors: []sdk.Connector{{Name: "commits", Force: true}, {Name: "members"}}}
	for _, connectors := range [][]string{nil, {"members"}, {"commits", "members"}} {
		_, err := r.integrations().SyncIntegration(r.ctx(), &hostv1.SyncIntegrationRequest{Integration: "acme/history", Force: true, Connectors: connectors})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ErrorContains(t, err, `plugin "git" cannot ignore the cursors of members`)
		require.Equal(t, "--connector commits, or without --force", info(t, err).GetHint())
	}
	require.Empty(t, r.engine.asked)
	_, err := r.integrations().SyncIntegration(r.ctx(), &hostv1.SyncIntegrationRequest{Integration: "acme/history", Force: true, Connectors: []string{"commits"}})
	require.NoError(t, err)
	_, err = r.integrations().SyncIntegration(r.ctx(), &hostv1.SyncIntegrationRequest{Integration: "acme/history"})
	require.NoError(t, err)
	require.Len(t, r.engine.asked, 2)
}

// rows: O52
func TestStatusSaysThatTheHostIsPaused(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.config.status = ConfigStatus{File: "host.yaml", Paused: true}
	got, err := hostv1.NewStatusServiceClient(r.dial()).GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
	require.NoError(t, err)
	require.Equal(t, "degraded", got.GetState())
	require.Contains(t, got.GetReasons(), "the host is paused: no run begins or goes on (hint: paused: false in host.yaml)")
}

// rows: O52
func TestARunSaysThatTheHostIsPaused(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) {
		f.integrations = []store.Integration{acme(1, "history")}
		f.runs = []store.Run{
			{ID: 1, IntegrationID: 1, Tenant: "acme", Integration: "history", Plugin: "git", State: store.RunProcessed},
			{ID: 2, IntegrationID: 1, Tenant: "acme", Integration: "history", Plugin: "git", State: store.RunPending},
		}
	})
	why := func(id string) string {
		resp, err := hostv1.NewRunServiceClient(r.dial()).GetRun(r.ctx(), &hostv1.GetRunRequest{Id: id})
		require.NoError(t, err)
		return resp.GetWhy()
	}
	require.Equal(t, "waits for its turn", why("2"))
	r.config.status = ConfigStatus{File: "host.yaml", Paused: true}
	require.Equal(t, "waits: the host is paused (hint: paused: false in host.yaml)", why("2"))
	require.Equal(t, "every stream is processed (0)", why("1"), "what is over waits for nothing")
}
