package api

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

func (r *rig) integrations() hostv1.IntegrationServiceClient {
	return hostv1.NewIntegrationServiceClient(r.dial())
}

// rows: O47
func TestIntegrationsArePaged(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) {
		for i := range int64(5) {
			f.integrations = append(f.integrations, acme(i+1, "i"+string('0'+rune(i))))
		}
		f.integrations[4].Tenant = "other"
	})
	var names []string
	token := ""
	for range 3 {
		resp, err := r.integrations().ListIntegrations(r.ctx(), &hostv1.ListIntegrationsRequest{PageSize: 2, PageToken: token})
		require.NoError(t, err)
		for _, i := range resp.GetIntegrations() {
			names = append(names, i.GetId())
		}
		token = resp.GetNext()
	}
	require.Empty(t, token)
	require.Equal(t, []string{"acme/i0", "acme/i1", "acme/i2", "acme/i3", "other/i4"}, names)

	resp, err := r.integrations().ListIntegrations(r.ctx(), &hostv1.ListIntegrationsRequest{Tenant: "other"})
	require.NoError(t, err)
	require.Len(t, resp.GetIntegrations(), 1)
	_, err = r.integrations().ListIntegrations(r.ctx(), &hostv1.ListIntegrationsRequest{PageToken: "x"})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

// rows: C23
func TestAnIntegrationTellsOfItsLimit(t *testing.T) {
	t.Parallel()
	r := serve(t)
	reset := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	limited, free := acme(1, "limited"), acme(2, "free")
	limited.Limit = store.RecordLimit{Records: 50, Per: time.Hour, OnboardingFactor: 2, Key: "k"}
	r.store.edit(func(f *fakeStore) {
		f.integrations = []store.Integration{limited, free}
		f.uses = map[int64]store.LimitUse{1: {Limit: 100, Used: 7, Reset: reset}}
	})
	resp, err := r.integrations().GetIntegration(r.ctx(), &hostv1.GetIntegrationRequest{Integration: "acme/limited"})
	require.NoError(t, err)
	l := resp.GetLimit()
	require.EqualValues(t, 100, l.GetRecords())
	require.EqualValues(t, 7, l.GetUsed())
	require.Equal(t, reset, l.GetReset_().AsTime())
	require.Equal(t, time.Hour, l.GetPer().AsDuration())
	require.Equal(t, "k", l.GetKey())
	resp, err = r.integrations().GetIntegration(r.ctx(), &hostv1.GetIntegrationRequest{Integration: "acme/free"})
	require.NoError(t, err)
	require.Nil(t, resp.GetLimit())
}

// rows: O43, O47
func TestNoSecretLeaves(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a91"
	r := serve(t, func(o *Options) {
		o.Redact = func(s string) string { return strings.ReplaceAll(s, canary, "***") }
	})
	big := strings.Repeat("s", 64<<10) + canary
	failure := &store.Failure{Message: "401 for " + canary, Cause: canary, Request: &store.Request{Method: "GET", URL: "https://a/" + canary, Status: 401, Host: canary}}
	r.config.settings = []byte(`{"path":"/src/` + canary + `","token":"` + big + `","new":"` + canary + `"}`)
	r.config.schema = []byte(`{"properties":{"path":{"type":"string"},"token":{"type":"string","x-secret":true}}}`)
	r.config.status.Problems = []Problem{{Severity: SeverityError, Message: canary, Source: canary, Help: canary}}
	r.plugins.list = []Plugin{{Name: "git", State: "backoff", Reason: canary, Stderr: []string{canary}}}
	r.plugins.logs = []LogLine{{Message: canary, Fields: map[string]string{"k": canary}}}
	r.engine.check = func(context.Context, []byte) error { return &sdk.Error{Class: sdk.ClassAuth, Message: canary} }
	r.store.edit(func(f *fakeStore) {
		in := acme(1, "history")
		in.Settings, in.SettingsSum, in.Patch = []byte(canary), []byte(canary), []byte(canary)
		in.Reason = canary
		f.integrations = []store.Integration{in}
		f.runs = []store.Run{{ID: 1, IntegrationID: 1, Tenant: "acme", State: store.RunError, Failure: failure, Preprocessed: []byte(canary)}}
		f.streams = []store.Stream{{ID: 1, RunID: 1, State: store.StreamError, Type: store.StreamRoot, Failure: failure, Data: []byte(canary), Page: []byte(canary), Checkpoint: []byte(canary), Cursor: []byte(canary)}}
		f.warnings = []store.Warning{{Message: canary}}
	})

	conn, ctx := r.dial(), r.ctx()
	shown := func(m proto.Message, err error) {
		t.Helper()
		require.NoError(t, err)
		text, err := protojson.Marshal(m)
		require.NoError(t, err)
		require.NotContains(t, string(text), canary)
		require.Contains(t, string(text), "***", "where it stood")
	}
	in := hostv1.NewIntegrationServiceClient(conn)
	got, err := in.GetIntegration(ctx, &hostv1.GetIntegrationRequest{Integration: "acme/history"})
	require.NoError(t, err)
	require.JSONEq(t, `{"path":"/src/***","token":"***","new":"***"}`, string(got.GetSettings()))
	require.NotContains(t, string(got.GetSettings()), canary)
	list, err := in.ListIntegrations(ctx, &hostv1.ListIntegrationsRequest{})
	shown(list, err)
	check, err := in.CheckIntegration(ctx, &hostv1.CheckIntegrationRequest{Integration: "acme/history"})
	shown(check, err)
	run, err := hostv1.NewRunServiceClient(conn).GetRun(ctx, &hostv1.GetRunRequest{Id: "1"})
	shown(run, err)
	stream, err := hostv1.NewStreamServiceClient(conn).GetStream(ctx, &hostv1.GetStreamRequest{Id: "1"})
	shown(stream, err)
	plugin, err := hostv1.NewPluginServiceClient(conn).GetPlugin(ctx, &hostv1.GetPluginRequest{Name: "git"})
	shown(plugin, err)
	page, err := hostv1.NewStatusServiceClient(conn).GetStatus(ctx, &hostv1.GetStatusRequest{})
	shown(page, err)
	logs, err := hostv1.NewPluginServiceClient(conn).StreamPluginLogs(ctx, &hostv1.StreamPluginLogsRequest{Name: "git"})
	require.NoError(t, err)
	line, err := logs.Recv()
	shown(line, err)
}

// rows: O39
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(context.Context, []byte) error
		want   *hostv1.CheckIntegrationResponse
		code   codes.Code
	}{
		"Ok": {func(context.Context, []byte) error { return nil }, &hostv1.CheckIntegrationResponse{Ok: true}, codes.OK},
		"Refused": {
			func(context.Context, []byte) error {
				return &sdk.Error{Class: sdk.ClassAuth, Code: "invalid_auth", Message: "the token is revoked"}
			},
			&hostv1.CheckIntegrationResponse{Class: "auth", Code: "invalid_auth", Message: "the token is revoked"}, codes.OK,
		},
		"Hangs": {
			func(ctx context.Context, _ []byte) error {
				if by, ok := ctx.Deadline(); !ok || time.Until(by) > 50*time.Millisecond {
					return errors.New("longer than it may")
				}
				<-ctx.Done()
				return ctx.Err()
			},
			&hostv1.CheckIntegrationResponse{Class: "transient", Code: "timeout", Message: "no answer in 50ms"}, codes.OK,
		},
		"Unsaved": {
			func(_ context.Context, settings []byte) error {
				if string(settings) != `{"a":1}` {
					return errors.New("other settings")
				}
				return nil
			},
			&hostv1.CheckIntegrationResponse{Ok: true}, codes.OK,
		},
		"Broken": {func(context.Context, []byte) error { return errors.New("x") }, nil, codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, func(o *Options) { o.CheckTimeout = 50 * time.Millisecond })
			r.store.edit(func(f *fakeStore) { f.integrations = []store.Integration{acme(1, "history")} })
			r.engine.check = c.answer
			req := &hostv1.CheckIntegrationRequest{Integration: "acme/history"}
			if name == "Unsaved" {
				req.Settings = []byte(`{"a":1}`)
			}
			resp, err := r.integrations().CheckIntegration(r.ctx(), req)
			require.Equal(t, c.code, status.Code(err), "%v", err)
			if err != nil {
				return
			}
			require.Equal(t, "acme/history", resp.GetIntegration())
			require.Equal(t, []any{c.want.GetOk(), c.want.GetClass(), c.want.GetCode(), c.want.GetMessage()},
				[]any{resp.GetOk(), resp.GetClass(), resp.GetCode(), resp.GetMessage()})
		})
	}
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.integrations = []store.Integration{acme(1, "history")} })
	_, err := r.integrations().CheckIntegration(r.ctx(), &hostv1.CheckIntegrationRequest{Integration: "acme/history", Settings: []byte(`[1]`)})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

// rows: O13, O17
func TestSyncRefusesWhatCannotRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change     func(*store.Integration)
		text, hint string
	}{
		"Disabled": {func(i *store.Integration) { i.State, i.Reason = store.IntegrationDisabled, "by its file" }, "is disabled: by its file", "enabled: true in tenants/acme.yaml"},
		"Parked":   {func(i *store.Integration) { i.State, i.Reason = store.IntegrationParked, `plugin "git" is not loaded` }, `is parked: plugin "git" is not loaded`, "plugin list"},
		"Waiting":  {func(i *store.Integration) { i.State = store.IntegrationWaitingApproval }, "waits for an approval", "plugin approve git"},
		"Idle":     {func(i *store.Integration) { i.Connectors = nil }, "has no connector to import", "name one under connectors:"},
		"Unknown":  {func(i *store.Integration) { i.Connectors, i.Plugin = nil, "slow" }, "cannot be synced yet: plugin slow has not said what it imports", "jackfield plugin show slow"},
		"Removed":  {func(i *store.Integration) { i.State, i.RemovedAt = store.IntegrationDisabled, time.Unix(1, 0) }, "was removed", "declare it again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t)
			r.plugins.manifests["git"] = sdk.Manifest{Name: "git"}
			r.store.edit(func(f *fakeStore) {
				in := acme(1, "history")
				c.change(&in)
				f.integrations = []store.Integration{in}
			})
			_, err := r.integrations().SyncIntegration(r.ctx(), &hostv1.SyncIntegrationRequest{Integration: "acme/history"})
			require.Equal(t, codes.FailedPrecondition, status.Code(err))
			require.ErrorContains(t, err, c.text)
			require.Contains(t, info(t, err).GetHint(), c.hint)
			require.Empty(t, r.engine.asked)
		})
	}
}

// rows: K12, O15, O19, C36, C55
func TestSync(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.integrations = []store.Integration{acme(1, "history")} })
	r.engine.run = store.Run{ID: 7, Tenant: "acme", Integration: "history", State: store.RunProcessing}
	r.engine.created = false
	api := r.integrations()
	sync := func(req *hostv1.SyncIntegrationRequest) *hostv1.SyncIntegrationResponse {
		t.Helper()
		req.Integration = "acme/history"
		resp, err := api.SyncIntegration(r.ctx(), req)
		require.NoError(t, err)
		return resp
	}
	resp := sync(&hostv1.SyncIntegrationRequest{})
	require.False(t, resp.GetCreated(), "the open run is answered")
	require.Equal(t, "7", resp.GetRun().GetId())
	sync(&hostv1.SyncIntegrationRequest{Onboarding: true})
	sync(&hostv1.SyncIntegrationRequest{Force: true, Replace: true})
	sync(&hostv1.SyncIntegrationRequest{Connectors: []string{"members", "commits"}})
	sync(&hostv1.SyncIntegrationRequest{Connectors: []string{"commits", "members", "members"}})
	sync(&hostv1.SyncIntegrationRequest{Params: map[string]string{"a": "1", "b": "2"}})
	sync(&hostv1.SyncIntegrationRequest{Params: map[string]string{"b": "2", "a": "1"}})
	sync(&hostv1.SyncIntegrationRequest{Replace: true})
	sync(&hostv1.SyncIntegrationRequest{Connectors: []string{"members"}})

	asked := r.engine.asked
	require.Equal(t, store.RunRequest{IntegrationID: 1, Class: store.ClassPull, Kind: store.RunManual}, asked[0])
	require.Equal(t, store.RunOnboarding, asked[1].Kind)
	require.True(t, asked[2].Force && asked[2].Replace)
	require.Equal(t, []string{"commits", "members"}, asked[3].Connectors)
	require.Equal(t, asked[3].ParamsSum, asked[4].ParamsSum, "the order of connectors does not matter")
	require.Equal(t, asked[5].ParamsSum, asked[6].ParamsSum)
	require.Empty(t, asked[7].ParamsSum, "to replace is no parameter")
	sums := map[string]bool{}
	for _, req := range append(asked[1:6:6], asked[8]) {
		require.NotEmpty(t, req.ParamsSum)
		sums[req.ParamsSum] = true
	}
	require.Len(t, sums, 5, "what is asked for differently is told apart")

	for name, req := range map[string]*hostv1.SyncIntegrationRequest{
		"Unknown":   {Integration: "acme/nobody"},
		"UID":       {Integration: "ffffffffffffffff"},
		"Empty":     {},
		"Connector": {Integration: "acme/history", Connectors: []string{"branches"}},
		"Parameter": {Integration: "acme/history", Params: map[string]string{"a": strings.Repeat("x", 2000)}},
		"Nameless":  {Integration: "acme/history", Params: map[string]string{"": "x"}},
	} {
		_, err := api.SyncIntegration(r.ctx(), req)
		require.Contains(t, []codes.Code{codes.NotFound, codes.InvalidArgument}, status.Code(err), name)
	}
	byUID, err := api.SyncIntegration(r.ctx(), &hostv1.SyncIntegrationRequest{Integration: acme(1, "history").UID})
	require.NoError(t, err)
	require.Equal(t, "acme/history", byUID.GetIntegration())
}
