package api

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// rows: O34
func TestAPersonDisablesAndEnables(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.integrations = []store.Integration{acme(1, "history")} })
	off, err := r.integrations().DisableIntegration(r.ctx(), &hostv1.DisableIntegrationRequest{Integration: "acme/history", Finish: true, By: " alice\x1b\n"})
	require.NoError(t, err)
	require.Equal(t, "disabled", off.GetIntegration().GetState())
	require.Equal(t, "alice", off.GetIntegration().GetDisabledBy())
	require.NotNil(t, off.GetIntegration().GetDisabledAt())
	require.True(t, off.GetIntegration().GetFinishing())
	_, err = r.integrations().SyncIntegration(r.ctx(), &hostv1.SyncIntegrationRequest{Integration: "acme/history"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.Equal(t, "jackfield integration enable acme/history", info(t, err).GetHint())
	on, err := r.integrations().EnableIntegration(r.ctx(), &hostv1.EnableIntegrationRequest{Integration: "acme/history"})
	require.NoError(t, err)
	require.Equal(t, "active", on.GetIntegration().GetState())
	require.Empty(t, on.GetIntegration().GetDisabledBy())
	_, err = r.integrations().DisableIntegration(r.ctx(), &hostv1.DisableIntegrationRequest{Integration: "acme/nothing"})
	require.Equal(t, codes.NotFound, status.Code(err))
}
