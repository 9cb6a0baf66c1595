package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

func TestErrorsOfTheStore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		code codes.Code
		kind Kind
		text string
		hint string
	}{
		"NotFound": {fmt.Errorf("get thing: %w", store.ErrNotFound), codes.NotFound, KindNotFound, "get thing: not found", ""},
		"Conflict": {fmt.Errorf("do thing: %w", store.ErrConflict), codes.FailedPrecondition, KindConflict, "do thing: conflict", ""},
		"Invalid":  {store.ErrInvalid, codes.InvalidArgument, KindInvalid, "invalid", ""},
		"Limit":    {store.ErrLimit, codes.ResourceExhausted, KindLimit, "limit exceeded", ""},
		"Full":     {store.ErrFull, codes.ResourceExhausted, KindFull, "disk is full", ""},
		"Hint":     {fmt.Errorf("do: %w", store.Hint(store.ErrConflict, "wait")), codes.FailedPrecondition, KindConflict, "do: conflict", "wait"},
		"Own":      {&Error{Kind: KindDenied, Message: "no", Hint: "ask"}, codes.PermissionDenied, KindDenied, "no", "ask"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t)
			r.store.edit(func(f *fakeStore) { f.err = c.err })
			_, err := hostv1.NewTenantServiceClient(r.dial()).ListTenants(r.ctx(), &hostv1.ListTenantsRequest{})
			require.Equal(t, c.code, status.Code(err))
			require.Equal(t, c.text, status.Convert(err).Message())
			require.Equal(t, string(c.kind), info(t, err).GetCode())
			require.Equal(t, c.hint, info(t, err).GetHint())
		})
	}
}

// rows: O43
func TestUnknownErrorsStayInside(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.err = errors.New("dial tcp 10.0.0.1: hunter2") })
	_, err := hostv1.NewTenantServiceClient(r.dial()).ListTenants(r.ctx(), &hostv1.ListTenantsRequest{})
	require.Equal(t, codes.Internal, status.Code(err))
	require.NotContains(t, err.Error(), "hunter2")
	id := info(t, err).GetId()
	require.Regexp(t, `^[0-9a-f]{8}$`, id)
	require.Equal(t, "internal error "+id, status.Convert(err).Message())
	require.Contains(t, r.log.String(), id)
	require.Contains(t, r.log.String(), "hunter2", "the log has it whole")
}

func TestAPanicFailsOneCall(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.integrations = []store.Integration{acme(1, "history")} })
	r.engine.check = func(context.Context, []byte) error {
		var none []int
		return errors.New(strconv.Itoa(none[len("x")]))
	}
	_, err := hostv1.NewIntegrationServiceClient(r.dial()).CheckIntegration(r.ctx(), &hostv1.CheckIntegrationRequest{Integration: "acme/history"})
	require.Equal(t, codes.Internal, status.Code(err))
	require.NotContains(t, err.Error(), "out of range")
	require.Contains(t, r.log.String(), "out of range")
	_, err = hostv1.NewTenantServiceClient(r.dial()).ListTenants(r.ctx(), &hostv1.ListTenantsRequest{})
	require.NoError(t, err, "the server goes on")
}
