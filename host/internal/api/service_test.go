package api

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	r := serve(t)
	get := func() *hostv1.GetStatusResponse {
		t.Helper()
		resp, err := hostv1.NewStatusServiceClient(r.dial()).GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
		require.NoError(t, err)
		return resp
	}
	r.plugins.list = []Plugin{{Name: "git", State: "serving", Verdict: "approved", PID: 42}}
	r.store.edit(func(f *fakeStore) {
		f.status = store.Status{Epoch: 3, Records: 12, Tenants: 1, Integrations: map[store.IntegrationState]int64{"active": 2, "disabled": 1}}
	})
	ok := get()
	require.Equal(t, "ok", ok.GetState())
	require.Empty(t, ok.GetReasons())
	require.Equal(t, "1.2.3", ok.GetVersion())
	require.Equal(t, "none", ok.GetIsolation(), "plugins are trusted like the operator")
	require.Equal(t, map[string]int64{"active": 2, "disabled": 1}, ok.GetIntegrations())

	r.plugins.list = append(r.plugins.list,
		Plugin{Name: "slack", State: "backoff", Verdict: "approved", Reason: "exited 3"},
		Plugin{File: "new", Verdict: "unapproved", Reason: "nobody approved it"},
		Plugin{File: ".x", Verdict: "ignored"})
	r.config.status.Problems = []Problem{{Severity: SeverityError, File: "a.yaml"}, {Severity: SeverityError, File: "a.yaml"}, {Severity: SeverityWarning, File: "b.yaml"}}
	r.store.edit(func(f *fakeStore) { f.status.Integrations["parked"] = 1 })
	bad := get()
	require.Equal(t, "degraded", bad.GetState())
	require.Equal(t, []string{
		"the configuration files have errors; the last good configuration is in force: a.yaml",
		"plugin slack does not serve: exited 3",
		"new is not loaded (unapproved): nobody approved it",
		"integrations that are parked: 1 (hint: jackfield integration list)",
	}, bad.GetReasons())
}

// rows: I03
func TestVerifyStore(t *testing.T) {
	t.Parallel()
	r := serve(t)
	verify := func() (found []*hostv1.Violation) {
		t.Helper()
		in, err := hostv1.NewStatusServiceClient(r.dial()).VerifyStore(r.ctx(), &hostv1.VerifyStoreRequest{})
		require.NoError(t, err)
		for {
			resp, err := in.Recv()
			if errors.Is(err, io.EOF) {
				return found
			}
			require.NoError(t, err)
			found = append(found, resp.GetViolation())
		}
	}
	require.Empty(t, verify())
	r.store.edit(func(f *fakeStore) {
		f.violations = []store.Violation{{Row: "I03", Name: "run-counters", Rule: "they add up", Found: "run 7"}, {Row: "I06", Name: "run-event"}}
	})
	found := verify()
	require.Len(t, found, 2)
	require.Equal(t, []string{"I03", "run-counters", "they add up", "run 7"},
		[]string{found[0].GetRow(), found[0].GetName(), found[0].GetRule(), found[0].GetFound()})
}

// A directory that cannot be read takes nothing from what runs.
func TestStatusWithoutThePluginDirectory(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.plugins.list = []Plugin{{Name: "git", State: "serving", Verdict: "gone", PID: 42}}
	r.plugins.unread = &Error{Kind: KindUnavailable, Message: "plugins can be written by anyone", Hint: "chmod o-w plugins"}
	got, err := hostv1.NewStatusServiceClient(r.dial()).GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
	require.NoError(t, err)
	require.Equal(t, "degraded", got.GetState())
	require.Contains(t, got.GetReasons(), "the plugins cannot be looked for: plugins can be written by anyone (hint: chmod o-w plugins)")
	require.Len(t, got.GetPlugins(), 1)
	api := hostv1.NewPluginServiceClient(r.dial())
	_, err = api.ListPlugins(r.ctx(), &hostv1.ListPluginsRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err))
	one, err := api.GetPlugin(r.ctx(), &hostv1.GetPluginRequest{Name: "git"})
	require.NoError(t, err)
	require.EqualValues(t, 42, one.GetPlugin().GetPid())
}

func TestStatusNamesWhatFails(t *testing.T) {
	t.Parallel()
	r := serve(t)
	run := func(id, integration int64, state store.RunState) store.Run {
		name := map[int64]string{1: "mended", 2: "broken"}[integration]
		return store.Run{
			ID: id, IntegrationID: integration, Tenant: "acme", Integration: name, State: state,
			Failure: &store.Failure{Message: "no such folder"},
		}
	}
	r.store.edit(func(f *fakeStore) {
		f.runs = []store.Run{
			run(1, 1, store.RunError), run(2, 2, store.RunError), run(3, 2, store.RunError),
			run(4, 1, store.RunProcessed), run(5, 2, store.RunCancelled), run(6, 2, store.RunProcessing),
		}
	})
	got, err := hostv1.NewStatusServiceClient(r.dial()).GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"run 3 of acme/broken failed: no such folder (hint: jackfield run show 3)"}, got.GetReasons())
}

func TestReload(t *testing.T) {
	t.Parallel()
	r := serve(t)
	api := hostv1.NewConfigServiceClient(r.dial())
	spec := store.IntegrationSpec{Tenant: "acme", Name: "history", Plugin: "git", File: "tenants/acme.yaml", Line: 2}
	r.config.report = Report{
		Changes:  []store.Change{{Op: store.ChangeUpdate, UID: "u", Spec: spec, Fields: []string{"every"}}},
		Problems: []Problem{{Severity: SeverityWarning, Code: "no-effect"}},
	}
	resp, err := api.Reload(r.ctx(), &hostv1.ReloadRequest{Confirm: true})
	require.NoError(t, err)
	require.True(t, r.config.confirmed)
	require.Equal(t, "acme/history", resp.GetChanges()[0].GetIntegration())
	require.Len(t, resp.GetProblems(), 1)

	r.config.report = Report{Problems: []Problem{{Severity: SeverityError, Code: "unknown-key", Message: "no key x", File: "host.yaml", Line: 3, Column: 1, Caret: 1}}}
	resp, err = api.Reload(r.ctx(), &hostv1.ReloadRequest{})
	require.NoError(t, err, "what is wrong is the answer")
	require.Equal(t, "unknown-key", resp.GetProblems()[0].GetCode())
	diff, err := api.Diff(r.ctx(), &hostv1.DiffRequest{})
	require.NoError(t, err, "likewise")
	require.Len(t, diff.GetProblems(), 1)
}

// rows: O01
func TestPlugins(t *testing.T) {
	t.Parallel()
	r := serve(t)
	api := hostv1.NewPluginServiceClient(r.dial())
	r.plugins.list = []Plugin{{Name: "git", File: "copy", Verdict: "duplicate"}, {Name: "git", State: "serving", Verdict: "approved", Stderr: []string{"bye"}}}
	const icon = "data:image/svg+xml;base64,AAAA"
	r.plugins.manifests["git"] = sdk.Manifest{Name: "git", Label: "Git repositories", Icon: icon, Kind: sdk.KindCombined, Connectors: []sdk.Connector{{Name: "commits"}}, SettingsSchema: []byte(`{}`)}
	resp, err := api.GetPlugin(r.ctx(), &hostv1.GetPluginRequest{Name: "git"})
	require.NoError(t, err)
	require.Equal(t, "serving", resp.GetPlugin().GetState(), "the file with a process")
	require.Equal(t, []string{"bye"}, resp.GetStderr())
	m := resp.GetManifest()
	require.Equal(t, []string{"git", "Git repositories", icon, "combined"}, []string{m.GetName(), m.GetLabel(), m.GetIcon(), m.GetKind()})
	require.Equal(t, "commits", m.GetConnectors()[0].GetName())
	_, err = api.GetPlugin(r.ctx(), &hostv1.GetPluginRequest{Name: "svn"})
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, `there is no plugin "svn"`)
}

func TestPluginLogs(t *testing.T) {
	t.Parallel()
	r := serve(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.plugins.logs = []LogLine{{At: at, Level: "info", Message: "one"}, {Message: "two", Fields: map[string]string{"run": "1"}}}
	stream, err := hostv1.NewPluginServiceClient(r.dial()).StreamPluginLogs(r.ctx(),
		&hostv1.StreamPluginLogsRequest{Name: "git", Lines: 1, Follow: true})
	require.NoError(t, err)
	line, err := stream.Recv()
	require.NoError(t, err)
	require.Equal(t, "two", line.GetMessage())
	require.Equal(t, map[string]string{"run": "1"}, line.GetFields())
	r.plugins.follow <- LogLine{Message: "three"}
	line, err = stream.Recv()
	require.NoError(t, err)
	require.Equal(t, "three", line.GetMessage())
	close(r.plugins.follow)
	_, err = stream.Recv()
	require.ErrorContains(t, err, "EOF")
}

func TestPluginLogsOfATenantOrARun(t *testing.T) {
	t.Parallel()
	r := serve(t)
	of := func(message, level, tenant, integration, run string) LogLine {
		return LogLine{Message: message, Level: level, Fields: map[string]string{"tenant": tenant, "integration": integration, "run": run}}
	}
	r.plugins.logs = []LogLine{
		of("a", "info", "acme", "crm", "1"), of("b", "error", "acme", "crm", "2"), of("c", "debug", "acme", "chat", "3"),
		of("d", "warn", "other", "crm", "4"),
		{Message: "e", Level: "info"},
	}
	logs := func(req *hostv1.StreamPluginLogsRequest) (found string) {
		req.Name = "git"
		stream, err := hostv1.NewPluginServiceClient(r.dial()).StreamPluginLogs(r.ctx(), req)
		require.NoError(t, err)
		for {
			line, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return found
			}
			require.NoError(t, err)
			found += line.GetMessage()
		}
	}
	require.Equal(t, "abcde", logs(&hostv1.StreamPluginLogsRequest{}))
	require.Equal(t, "abc", logs(&hostv1.StreamPluginLogsRequest{Tenant: "acme"}))
	require.Equal(t, "bc", logs(&hostv1.StreamPluginLogsRequest{Tenant: "acme", Lines: 2}), "the last of those")
	require.Equal(t, "ab", logs(&hostv1.StreamPluginLogsRequest{Integration: "acme/crm"}))
	require.Equal(t, "b", logs(&hostv1.StreamPluginLogsRequest{Integration: "acme/crm", Level: "warn"}))
	require.Equal(t, "d", logs(&hostv1.StreamPluginLogsRequest{Run: "4"}))
	require.Empty(t, logs(&hostv1.StreamPluginLogsRequest{Run: "5"}))
	require.Equal(t, "abde", logs(&hostv1.StreamPluginLogsRequest{Level: "info"}))
	for _, bad := range []*hostv1.StreamPluginLogsRequest{{Level: "loud"}, {Integration: "crm"}, {Integration: "acme/crm", Tenant: "other"}} {
		stream, err := hostv1.NewPluginServiceClient(r.dial()).StreamPluginLogs(r.ctx(), bad)
		require.NoError(t, err)
		_, err = stream.Recv()
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", bad)
	}

	stream, err := hostv1.NewPluginServiceClient(r.dial()).StreamPluginLogs(r.ctx(), &hostv1.StreamPluginLogsRequest{Name: "git", Follow: true, Run: "4"})
	require.NoError(t, err)
	line, err := stream.Recv()
	require.NoError(t, err)
	require.Equal(t, "d", line.GetMessage())
	r.plugins.follow <- of("x", "info", "acme", "crm", "1")
	r.plugins.follow <- of("y", "info", "other", "crm", "4")
	line, err = stream.Recv()
	require.NoError(t, err)
	require.Equal(t, "y", line.GetMessage())
}

// rows: O47
func TestTenants(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) {
		f.tenants = []store.Tenant{{Name: "acme", Integrations: 1}}
		f.integrations = []store.Integration{acme(1, "history")}
	})
	api := hostv1.NewTenantServiceClient(r.dial())
	list, err := api.ListTenants(r.ctx(), &hostv1.ListTenantsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetTenants(), 1)
	one, err := api.GetTenant(r.ctx(), &hostv1.GetTenantRequest{Name: "acme"})
	require.NoError(t, err)
	require.Equal(t, "acme/history", one.GetIntegrations()[0].GetId())
	_, err = api.GetTenant(r.ctx(), &hostv1.GetTenantRequest{Name: "nobody"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

// rows: O22
func TestStreams(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) {
		f.runs = []store.Run{history(1, store.RunPartial)}
		f.streams = []store.Stream{
			{ID: 1, RunID: 1, Type: store.StreamPlan, State: store.StreamProcessed},
			{ID: 2, RunID: 1, Type: store.StreamRoot, Connector: "commits", State: store.StreamError},
			{ID: 3, RunID: 1, Type: store.StreamRoot, Connector: "members", State: store.StreamProcessed},
		}
	})
	api := hostv1.NewStreamServiceClient(r.dial())
	list, err := api.ListStreams(r.ctx(), &hostv1.ListStreamsRequest{RunId: "1"})
	require.NoError(t, err)
	require.Len(t, list.GetStreams(), 2)
	list, err = api.ListStreams(r.ctx(), &hostv1.ListStreamsRequest{RunId: "1", System: true, PageSize: 1})
	require.NoError(t, err)
	require.Equal(t, "1", list.GetNext())
	list, err = api.ListStreams(r.ctx(), &hostv1.ListStreamsRequest{Connector: "members", State: "processed"})
	require.NoError(t, err)
	require.Len(t, list.GetStreams(), 1)
	_, err = api.ListStreams(r.ctx(), &hostv1.ListStreamsRequest{RunId: "5"})
	require.Equal(t, codes.NotFound, status.Code(err))

	_, err = api.RetryStream(r.ctx(), &hostv1.RetryStreamRequest{Id: "3"})
	require.ErrorContains(t, err, "stream 3 is processed and cannot be tried again")
	retried, err := api.RetryStream(r.ctx(), &hostv1.RetryStreamRequest{Id: "2"})
	require.NoError(t, err)
	require.Equal(t, "pending", retried.GetStream().GetState())
	skipped, err := api.SkipStream(r.ctx(), &hostv1.SkipStreamRequest{Id: "2"})
	require.NoError(t, err)
	require.Equal(t, "cancelled", skipped.GetStream().GetState())
	_, err = api.GetStream(r.ctx(), &hostv1.GetStreamRequest{Id: "9"})
	require.Equal(t, codes.NotFound, status.Code(err))
}
