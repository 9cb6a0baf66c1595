package api

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// give keeps a token and returns a context with it.
func (r *rig) give(token store.Token) context.Context {
	r.t.Helper()
	secret := "jft_" + token.Name
	sum := sha256.Sum256([]byte(secret))
	_, err := r.store.CreateToken(r.t.Context(), token, sum[:], "test")
	require.NoError(r.t, err)
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	r.t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+secret)
}

// two has two tenants with an integration, a run and a stream each.
func (r *rig) two() {
	globex := acme(2, "history")
	globex.Tenant = "globex"
	r.store.edit(func(f *fakeStore) {
		f.tenants = []store.Tenant{{Name: "acme"}, {Name: "globex"}}
		f.integrations = []store.Integration{acme(1, "history"), globex}
		f.runs = []store.Run{
			{ID: 1, IntegrationID: 1, Tenant: "acme", Integration: "history", State: store.RunProcessed},
			{ID: 2, IntegrationID: 2, Tenant: "globex", Integration: "history", State: store.RunProcessed},
		}
		f.streams = []store.Stream{{ID: 1, RunID: 1, IntegrationID: 1, State: store.StreamProcessed}, {ID: 2, RunID: 2, IntegrationID: 2, State: store.StreamProcessed}}
	})
}

// A tenant's token sees that tenant, however a request names it.
//
// rows: X01
func TestATenantsTokenSeesThatTenantAlone(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.two()
	ctx := r.give(store.Token{Name: "crm", Tenant: "acme", Scopes: []store.Scope{store.ScopeAdmin}})
	conn := r.dial()
	tenants, integrations := hostv1.NewTenantServiceClient(conn), hostv1.NewIntegrationServiceClient(conn)
	runs, streams, tokens := hostv1.NewRunServiceClient(conn), hostv1.NewStreamServiceClient(conn), hostv1.NewTokenServiceClient(conn)
	records := hostv1.NewRecordServiceClient(conn)
	theirs, err := tokens.CreateToken(r.ctx(), &hostv1.CreateTokenRequest{Name: "theirs", Tenant: "globex", Scopes: []string{"read"}})
	require.NoError(t, err)

	t.Run("Lists", func(t *testing.T) {
		t.Parallel()
		all, err := tenants.ListTenants(ctx, &hostv1.ListTenantsRequest{})
		require.NoError(t, err)
		require.Len(t, all.GetTenants(), 1)
		list, err := integrations.ListIntegrations(ctx, &hostv1.ListIntegrationsRequest{})
		require.NoError(t, err)
		require.Len(t, list.GetIntegrations(), 1)
		require.Equal(t, "acme/history", list.GetIntegrations()[0].GetId())
		keys, err := tokens.ListTokens(ctx, &hostv1.ListTokensRequest{})
		require.NoError(t, err)
		require.Len(t, keys.GetTokens(), 1)
		made, err := tokens.CreateToken(ctx, &hostv1.CreateTokenRequest{Name: "mine", Scopes: []string{"admin"}})
		require.NoError(t, err)
		require.Equal(t, "acme", made.GetToken().GetTenant(), "what is left out is its own tenant, not all")
	})

	for name, c := range map[string]struct {
		want codes.Code
		call func() error
	}{
		"OwnTenant":    {codes.OK, func() error { _, err := tenants.GetTenant(ctx, &hostv1.GetTenantRequest{Name: "acme"}); return err }},
		"OtherTenant":  {codes.PermissionDenied, func() error { _, err := tenants.GetTenant(ctx, &hostv1.GetTenantRequest{Name: "globex"}); return err }},
		"UnknownOther": {codes.PermissionDenied, func() error { _, err := tenants.GetTenant(ctx, &hostv1.GetTenantRequest{Name: "nobody"}); return err }},
		"OwnByName": {codes.OK, func() error {
			_, err := integrations.GetIntegration(ctx, &hostv1.GetIntegrationRequest{Integration: "acme/history"})
			return err
		}},
		"OwnByBoth": {codes.OK, func() error {
			_, err := integrations.GetIntegration(ctx, &hostv1.GetIntegrationRequest{Tenant: "acme", Integration: "history"})
			return err
		}},
		"OwnByUID": {codes.OK, func() error {
			_, err := integrations.GetIntegration(ctx, &hostv1.GetIntegrationRequest{Integration: acme(1, "").UID})
			return err
		}},
		"OtherByName": {codes.PermissionDenied, func() error {
			_, err := integrations.GetIntegration(ctx, &hostv1.GetIntegrationRequest{Integration: "globex/history"})
			return err
		}},
		"OtherByBoth": {codes.PermissionDenied, func() error {
			_, err := integrations.GetIntegration(ctx, &hostv1.GetIntegrationRequest{Tenant: "globex", Integration: "history"})
			return err
		}},
		"OwnAndOther": {codes.PermissionDenied, func() error {
			_, err := integrations.GetIntegration(ctx, &hostv1.GetIntegrationRequest{Tenant: "acme", Integration: "globex/history"})
			return err
		}},
		"OtherByUID": {codes.NotFound, func() error {
			_, err := integrations.GetIntegration(ctx, &hostv1.GetIntegrationRequest{Integration: acme(2, "").UID})
			return err
		}},
		"FilterOfAnother": {codes.PermissionDenied, func() error {
			_, err := runs.ListRuns(ctx, &hostv1.ListRunsRequest{Integration: "globex/history"})
			return err
		}},
		"OwnRun":      {codes.OK, func() error { _, err := runs.GetRun(ctx, &hostv1.GetRunRequest{Id: "1"}); return err }},
		"OtherRun":    {codes.NotFound, func() error { _, err := runs.GetRun(ctx, &hostv1.GetRunRequest{Id: "2"}); return err }},
		"NoRun":       {codes.NotFound, func() error { _, err := runs.GetRun(ctx, &hostv1.GetRunRequest{Id: "3"}); return err }},
		"EmptyRun":    {codes.PermissionDenied, func() error { _, err := runs.GetRun(ctx, &hostv1.GetRunRequest{}); return err }},
		"OtherStream": {codes.NotFound, func() error { _, err := streams.RetryStream(ctx, &hostv1.RetryStreamRequest{Id: "2"}); return err }},
		"OwnStreams":  {codes.OK, func() error { _, err := streams.ListStreams(ctx, &hostv1.ListStreamsRequest{RunId: "1"}); return err }},
		"OwnRunOfAnother": {codes.NotFound, func() error {
			_, err := streams.ListStreams(ctx, &hostv1.ListStreamsRequest{RunId: "2", Integration: "acme/history"})
			return err
		}},
		"StreamsOfAll": {codes.PermissionDenied, func() error { _, err := streams.ListStreams(ctx, &hostv1.ListStreamsRequest{}); return err }},
		"RetryOfAll": {codes.PermissionDenied, func() error {
			_, err := streams.RetryStreams(ctx, &hostv1.RetryStreamsRequest{Plugin: "git"})
			return err
		}},
		"OtherToken": {codes.NotFound, func() error {
			_, err := tokens.RevokeToken(ctx, &hostv1.RevokeTokenRequest{Id: theirs.GetToken().GetId()})
			return err
		}},
		"TokenForOther": {codes.PermissionDenied, func() error {
			_, err := tokens.CreateToken(ctx, &hostv1.CreateTokenRequest{Name: "x", Tenant: "globex", Scopes: []string{"read"}})
			return err
		}},
		"Host": {codes.PermissionDenied, func() error {
			_, err := hostv1.NewStatusServiceClient(conn).GetStatus(ctx, &hostv1.GetStatusRequest{})
			return err
		}},
		"Stream": {codes.PermissionDenied, func() error { return firstOf(records.TailRecords(ctx, &hostv1.TailRecordsRequest{Tenant: "globex"})) }},
		"LogsOfAll": {codes.PermissionDenied, func() error {
			return firstOf(hostv1.NewPluginServiceClient(conn).StreamPluginLogs(ctx, &hostv1.StreamPluginLogsRequest{Name: "git", Tenant: "acme"}))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, status.Code(c.call()), "%v", c.call())
		})
	}
}

func firstOf[T any](stream grpc.ServerStreamingClient[T], err error) error {
	if err == nil {
		_, err = stream.Recv()
	}
	return err
}

// rows: K20
func TestATokenOpensWhatItsScopesSay(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.two()
	conn := r.dial()
	methods := map[store.Scope]func(context.Context) error{
		store.ScopeRead: func(ctx context.Context) error {
			_, err := hostv1.NewRunServiceClient(conn).ListRuns(ctx, &hostv1.ListRunsRequest{})
			return err
		},
		store.ScopeCall: func(ctx context.Context) error {
			_, err := hostv1.NewEndpointServiceClient(conn).RenderEndpoint(ctx, &hostv1.RenderEndpointRequest{Integration: "acme/history", Endpoint: "x"})
			return err
		},
		store.ScopeOperate: func(ctx context.Context) error {
			_, err := hostv1.NewRunServiceClient(conn).CancelRun(ctx, &hostv1.CancelRunRequest{Id: "1"})
			return err
		},
		store.ScopeAdmin: func(ctx context.Context) error {
			_, err := hostv1.NewTokenServiceClient(conn).ListTokens(ctx, &hostv1.ListTokensRequest{})
			return err
		},
	}
	for _, has := range store.Scopes() {
		ctx := r.give(store.Token{Name: string(has), Scopes: []store.Scope{has}})
		for needs, call := range methods {
			denied := status.Code(call(ctx)) == codes.PermissionDenied
			require.Equal(t, has != needs && has != store.ScopeAdmin, denied, "a token for %s, a method for %s", has, needs)
		}
	}
}

// rows: K20
func TestATokenIsOver(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := serve(t, func(o *Options) { o.Now = func() time.Time { return now } })
	conn := r.dial()
	tokens := hostv1.NewTokenServiceClient(conn)
	read := func(secret string) error {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+secret)
		_, err := hostv1.NewRunServiceClient(conn).ListRuns(ctx, &hostv1.ListRunsRequest{})
		return err
	}
	made, err := tokens.CreateToken(r.ctx(), &hostv1.CreateTokenRequest{
		Name: "crm", Scopes: []string{"read"}, ExpiresAt: timestamppb.New(now.Add(time.Second)),
	})
	require.NoError(t, err)
	require.Len(t, made.GetSecret(), len("jft_")+43, "256 bits")
	require.NoError(t, read(made.GetSecret()))
	require.Equal(t, codes.Unauthenticated, status.Code(read(made.GetSecret()+"x")))
	kept, err := r.store.Token(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, now.Truncate(time.Hour), kept.UsedAt)

	_, err = r.store.setToken(1, func(t *store.Token) { t.ExpiresAt = now })
	require.NoError(t, err)
	require.Equal(t, codes.Unauthenticated, status.Code(read(made.GetSecret())), "its time is over")
	_, err = r.store.setToken(1, func(t *store.Token) { t.ExpiresAt = time.Time{} })
	require.NoError(t, err)
	require.NoError(t, read(made.GetSecret()))
	_, err = tokens.RevokeToken(r.ctx(), &hostv1.RevokeTokenRequest{Id: "1"})
	require.NoError(t, err)
	require.Equal(t, codes.Unauthenticated, status.Code(read(made.GetSecret())), "revoked")

	require.NotContains(t, r.log.String(), made.GetSecret())
	for _, req := range []*hostv1.CreateTokenRequest{
		{Scopes: []string{"read"}},
		{Name: "x"},
		{Name: "x", Scopes: []string{"read", "all"}},
		{Name: "x", Scopes: []string{"read"}, ExpiresAt: timestamppb.New(now)},
	} {
		_, err = tokens.CreateToken(r.ctx(), req)
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.Len(t, info(t, err).GetFields(), 1)
	}
}

// A method that does not say who may call it keeps the daemon from starting.
//
// rows: X01, K20
func TestAMethodWithoutARuleIsRefused(t *testing.T) {
	t.Parallel()
	_, err := readRules(methods{{ServiceName: healthpb.Health_ServiceDesc.ServiceName}})
	require.ErrorContains(t, err, "says no scope")
	_, err = readRules(methods{{ServiceName: "jackfield.host.v1.Access"}})
	require.ErrorContains(t, err, "no service")
	var all methods
	(&Server{}).register(&all)
	rules, err := readRules(all)
	require.NoError(t, err)
	for _, s := range all {
		require.Subset(t, keysOf(rules), namesOf(s))
	}
}

func keysOf(rules map[string]*rule) (names []string) {
	for name := range rules {
		names = append(names, name)
	}
	return names
}

func namesOf(s *grpc.ServiceDesc) (names []string) {
	for _, m := range s.Methods {
		names = append(names, "/"+s.ServiceName+"/"+m.MethodName)
	}
	for _, m := range s.Streams {
		names = append(names, "/"+s.ServiceName+"/"+m.StreamName)
	}
	return names
}
