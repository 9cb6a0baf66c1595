package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// rows: O24
func TestConnectorStatusesAreFiltered(t *testing.T) {
	t.Parallel()
	r := serve(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	part := func(id int64, connector string, code store.ConnectorCode) store.ConnectorStatus {
		return store.ConnectorStatus{
			ID: id, IntegrationID: 1, Tenant: "acme", Integration: "history", RunID: id, Connector: connector, Code: code,
			StartedAt: at.Add(time.Duration(id) * time.Hour), EndedAt: at.Add(time.Duration(id)*time.Hour + time.Minute),
			Message: "why", Stats: store.RunStats{Read: 3, Added: 2, Stale: 1}, Processed: 4, Data: []byte(`{"a":1}`),
		}
	}
	r.store.edit(func(f *fakeStore) {
		f.integrations = []store.Integration{acme(1, "history")}
		f.runs = []store.Run{history(2, store.RunProcessed)}
		f.parts = []store.ConnectorStatus{
			part(1, "commits", store.ConnectorCompleted), part(2, "members", store.ConnectorFailed), part(3, "commits", store.ConnectorFailed),
		}
	})
	list := func(req *hostv1.ListConnectorStatusesRequest) (ids []string) {
		t.Helper()
		resp, err := r.runs().ListConnectorStatuses(r.ctx(), req)
		require.NoError(t, err)
		for _, c := range resp.GetStatuses() {
			ids = append(ids, c.GetRunId())
		}
		return append(ids, resp.GetNext())
	}
	require.Equal(t, []string{"3", "2", "1", ""}, list(&hostv1.ListConnectorStatusesRequest{Integration: "acme/history"}))
	require.Equal(t, []string{"3", "2", "2"}, list(&hostv1.ListConnectorStatusesRequest{PageSize: 2}))
	require.Equal(t, []string{"1", ""}, list(&hostv1.ListConnectorStatusesRequest{PageSize: 2, PageToken: "2"}))
	require.Equal(t, []string{"3", "1", ""}, list(&hostv1.ListConnectorStatusesRequest{Connector: "commits"}))
	require.Equal(t, []string{"3", "2", ""}, list(&hostv1.ListConnectorStatusesRequest{Code: "failed"}))
	require.Equal(t, []string{"2", ""}, list(&hostv1.ListConnectorStatusesRequest{
		Since: timestamppb.New(at.Add(2 * time.Hour)), Until: timestamppb.New(at.Add(3 * time.Hour)),
	}))
	require.Equal(t, []string{"2", ""}, list(&hostv1.ListConnectorStatusesRequest{RunId: "2"}))
	_, err := r.runs().ListConnectorStatuses(r.ctx(), &hostv1.ListConnectorStatusesRequest{Code: "done"})
	require.ErrorContains(t, err, `no code "done"`)
	require.Contains(t, info(t, err).GetHint(), "completed")
	_, err = r.runs().ListConnectorStatuses(r.ctx(), &hostv1.ListConnectorStatusesRequest{Integration: "acme/none"})
	require.ErrorContains(t, err, "acme/none")

	resp, err := r.runs().ListConnectorStatuses(r.ctx(), &hostv1.ListConnectorStatusesRequest{PageSize: 1})
	require.NoError(t, err)
	c := resp.GetStatuses()[0]
	require.Equal(t, "acme/history", c.GetIntegration())
	require.Equal(t, time.Minute.Milliseconds(), c.GetDurationMs())
	require.Equal(t, int64(2), c.GetStats().GetAdded())
	require.Equal(t, int64(4), c.GetProcessed())
	require.JSONEq(t, `{"a":1}`, string(c.GetData()))
}

// rows: C34
func TestTheNextStepOfARun(t *testing.T) {
	t.Parallel()
	r := serve(t)
	due := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	refused := history(4, store.RunError)
	refused.Failure = &store.Failure{Class: "auth", Code: "invalid_auth", Message: "the token was revoked"}
	r.store.edit(func(f *fakeStore) {
		f.runs = []store.Run{
			history(1, store.RunProcessed), history(2, store.RunPartial), history(3, store.RunDelayed), refused, history(5, store.RunCancelled),
		}
		f.parts = []store.ConnectorStatus{{ID: 1, RunID: 2, Connector: "a"}, {ID: 2, RunID: 2, Connector: "b"}}
		f.due = due
	})
	for id, want := range map[string]string{
		"1": "",
		"2": "jackfield run continue 2",
		"3": "jackfield run watch 3",
		"4": "jackfield integration check acme/history, then: jackfield run continue 4",
		"5": "jackfield integration sync acme/history",
	} {
		resp, err := r.runs().GetRun(r.ctx(), &hostv1.GetRunRequest{Id: id})
		require.NoError(t, err)
		require.Equal(t, want, resp.GetNext())
		require.Equal(t, id == "3", resp.GetNextAttemptAt() != nil, id)
		if id == "2" {
			require.Equal(t, "a", resp.GetConnectors()[0].GetConnector(), "in their order")
			require.Len(t, resp.GetConnectors(), 2)
		}
	}
}

// rows: C38
func TestStreamsAreRetriedByThePage(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) {
		f.streams = []store.Stream{
			{ID: 1, RunID: 1, Type: store.StreamRoot, State: store.StreamError},
			{ID: 2, RunID: 1, Type: store.StreamRoot, State: store.StreamCancelled},
			{ID: 3, RunID: 1, Type: store.StreamRoot, State: store.StreamError},
			{ID: 4, RunID: 1, Type: store.StreamRoot, State: store.StreamProcessed},
		}
		f.failed = []int64{1, 2, 3}
	})
	api := hostv1.NewStreamServiceClient(r.dial())
	resp, err := api.RetryStreams(r.ctx(), &hostv1.RetryStreamsRequest{Plugin: "git", PageSize: 2})
	require.NoError(t, err)
	require.Equal(t, uint32(1), resp.GetRetried())
	require.Equal(t, uint32(1), resp.GetRefused())
	require.Equal(t, int64(1), resp.GetOpen())
	require.Equal(t, "2", resp.GetNext())
	resp, err = api.RetryStreams(r.ctx(), &hostv1.RetryStreamsRequest{Plugin: "git", PageSize: 2, PageToken: "2"})
	require.NoError(t, err)
	require.Equal(t, uint32(1), resp.GetRetried())
	require.Empty(t, resp.GetNext())
	r.store.edit(func(f *fakeStore) { require.Equal(t, []string{"git", "git"}, f.failedOf) })
	_, err = api.RetryStreams(r.ctx(), &hostv1.RetryStreamsRequest{})
	require.ErrorContains(t, err, "neither a plugin nor an integration")

	_, err = api.ProcessStream(r.ctx(), &hostv1.ProcessStreamRequest{Id: "4"})
	require.ErrorContains(t, err, "stream 4 is processed")
	require.Contains(t, info(t, err).GetHint(), "--force")
	done, err := api.ProcessStream(r.ctx(), &hostv1.ProcessStreamRequest{Id: "4", Force: true})
	require.NoError(t, err)
	require.Equal(t, "pending", done.GetStream().GetState())
	_, err = api.ProcessStream(r.ctx(), &hostv1.ProcessStreamRequest{Id: "9"})
	require.ErrorContains(t, err, `no stream "9"`)
}

// rows: C44, C45
func TestEventsAreListed(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) {
		f.integrations = []store.Integration{acme(1, "history")}
		f.events = []store.Event{
			{ID: 1, Kind: "run.error", IntegrationID: 1, RunID: 7},
			{ID: 2, Kind: "integration.failing", IntegrationID: 1, RunID: 7, Data: []byte(`{"reason":"no"}`)},
			{ID: 3, Kind: "integration.removed", IntegrationID: 99},
		}
	})
	api := hostv1.NewEventServiceClient(r.dial())
	resp, err := api.ListEvents(r.ctx(), &hostv1.ListEventsRequest{PageSize: 2})
	require.NoError(t, err)
	require.Equal(t, "2", resp.GetNext())
	require.Empty(t, resp.GetEvents()[0].GetIntegration(), "it is gone")
	e := resp.GetEvents()[1]
	require.Equal(t, "acme/history", e.GetIntegration())
	require.Equal(t, "7", e.GetRunId())
	require.JSONEq(t, `{"reason":"no"}`, string(e.GetData()))
	resp, err = api.ListEvents(r.ctx(), &hostv1.ListEventsRequest{Integration: "acme/history", Kind: "run.error"})
	require.NoError(t, err)
	require.Len(t, resp.GetEvents(), 1)
}
