package api

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// fakeScreens opens what it is asked for, but for the call "none".
type fakeScreens struct{ closed []string }

func (f *fakeScreens) Open(_ context.Context, in store.Integration, r ScreenRequest) (string, time.Time, error) {
	if r.Call == "none" {
		return "", time.Time{}, fmt.Errorf("call none: %w", store.ErrNotFound)
	}
	return "http://host/screen/" + in.FullName() + "/" + r.Call + "/" + r.Agent + "/" + r.Origin, time.Unix(60, 0), nil
}

func (f *fakeScreens) Close(in store.Integration, call, agent string) int {
	f.closed = append(f.closed, in.FullName()+" "+call+" "+agent)
	return len(f.closed)
}

// rows: K25
func TestScreensAreOpenedAndClosedByTheAPI(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) {
		f.integrations = append(f.integrations, store.Integration{ID: 1, UID: "u1", IntegrationSpec: store.IntegrationSpec{Tenant: "acme", Name: "crm"}, State: store.IntegrationActive})
	})
	c := hostv1.NewScreenServiceClient(r.dial())
	got, err := c.OpenScreen(r.ctx(), &hostv1.OpenScreenRequest{Tenant: "acme", Integration: "crm", CallId: "7", Agent: "ann", Origin: "o"})
	require.NoError(t, err)
	require.Equal(t, "http://host/screen/acme/crm/7/ann/o", got.GetUrl())
	require.Equal(t, int64(60), got.GetExpiresAt().GetSeconds())
	for name, req := range map[string]*hostv1.OpenScreenRequest{"call": {Integration: "acme/crm", CallId: "none"}, "integration": {Integration: "acme/erp", CallId: "7"}} {
		_, err = c.OpenScreen(r.ctx(), req)
		require.Equal(t, codes.NotFound, status.Code(err), name)
	}
	_, err = c.OpenScreen(t.Context(), &hostv1.OpenScreenRequest{Integration: "acme/crm", CallId: "7"})
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	closed, err := c.CloseScreens(r.ctx(), &hostv1.CloseScreensRequest{Integration: "acme/crm", CallId: "7", Agent: "ann"})
	require.NoError(t, err)
	require.Equal(t, uint32(1), closed.GetClosed())
	require.Equal(t, []string{"acme/crm 7 ann"}, r.screens.closed)
}
