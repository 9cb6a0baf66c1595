package api

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// fakeCalls takes every event.
type fakeCalls struct{ otherCalls }

// otherCalls are the methods that no test here needs.
type otherCalls interface{ Calls }

func (*fakeCalls) CallCounts(context.Context) (store.CallCounts, error) {
	return store.CallCounts{}, nil
}

// Calls returns one of each integration of two, both of the name acme: one tenant had it
// before the other.
func (*fakeCalls) Calls(_ context.Context, f store.CallFilter) ([]store.Call, error) {
	all := []store.Call{
		{ID: 3, Integration: acme(1, "").UID, Tenant: "acme", Name: "history", External: "own"},
		{ID: 2, Integration: acme(2, "").UID, Tenant: "acme", Name: "history", External: "globex has it"},
		{ID: 1, Integration: "deleted", Tenant: "acme", Name: "history", External: "of who had the name"},
	}
	return pick(all, 0, func(c store.Call) bool { return f.Tenant == "" || c.Tenant == f.Tenant }), nil
}

func (*fakeCalls) Send(_ context.Context, in store.Integration, r CallRequest) (CallSent, error) {
	body, err := json.Marshal(r.Event)
	return CallSent{Event: store.CallEvent{
		ID: 7, CallID: 3, State: store.EventDone, Body: body, Answer: []byte(`{"contacts":[{"id":"1","name":"Ann"}],"reject":{"reason":"busy"}}`),
		Error: &store.HookError{Code: "x", Message: in.UID + " " + r.Wait.String()},
	}}, err
}

// What an event says reaches the call box, and what its hook answered comes back.
//
// rows: G23
func TestSendEvent(t *testing.T) {
	t.Parallel()
	r := serveEndpoints(t)
	calls := hostv1.NewCallServiceClient(r.dial())
	resp, err := calls.SendEvent(r.ctx(), &hostv1.SendEventRequest{
		Integration: "acme/crm", Event: &hostv1.CallEvent{Type: "call.started", Fields: []byte(`{"a":1}`)}, Wait: durationpb.New(time.Second),
	})
	require.NoError(t, err)
	require.Equal(t, "7", resp.GetEventId())
	require.Equal(t, "Ann", resp.GetResult().GetAnswer().GetContacts()[0].GetName())
	require.True(t, resp.GetResult().GetAnswer().GetReject())
	require.Contains(t, resp.GetResult().GetError().GetMessage(), " 1s")
}

// rows: O44
func TestWarningsOfStepsAreTold(t *testing.T) {
	t.Parallel()
	r := serveEndpoints(t)
	got := r.server.eventInfo(store.CallEvent{Body: []byte(`{}`), Steps: []store.HookStep{
		{Way: store.WayChain, Name: "find", Cached: true},
		{Way: store.WayChain, Name: "log", Warnings: []string{"the map result does not know s3cr3t"}},
	}})
	require.True(t, got.GetSteps()[0].GetCached())
	require.Empty(t, got.GetSteps()[0].GetWarnings())
	require.Equal(t, []string{"the map result does not know ***"}, got.GetSteps()[1].GetWarnings())
}

// A screen comes with the answer to an event. That there is none undoes no event.
//
// rows: K25
func TestAnEventIsAnsweredWithAScreen(t *testing.T) {
	t.Parallel()
	r := serveEndpoints(t)
	calls := hostv1.NewCallServiceClient(r.dial())
	send := func(call, agent string) (*hostv1.SendEventResponse, error) {
		return calls.SendEvent(r.ctx(), &hostv1.SendEventRequest{
			Integration: "acme/crm", Event: &hostv1.CallEvent{Type: "call.started", CallId: call, Agent: agent}, Wait: durationpb.New(0), Screen: true, ScreenOrigin: "o",
		})
	}
	resp, err := send("7", "ann")
	require.NoError(t, err)
	require.Equal(t, "http://host/screen/acme/crm/7/ann/o", resp.GetScreen().GetUrl())
	require.Equal(t, int64(60), resp.GetScreen().GetExpiresAt().AsTime().Unix())
	resp, err = send("none", "ann")
	require.NoError(t, err)
	require.Equal(t, "7", resp.GetEventId())
	require.Contains(t, resp.GetScreen().GetProblem(), "call none")
	_, err = send("7", "")
	require.ErrorContains(t, err, "agent: is required for a screen")
}

// The calls of a tenant are those whose integration is the tenant's now.
//
// rows: X01
func TestCallsOfATenant(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.two()
	calls := hostv1.NewCallServiceClient(r.dial())
	list := func(ctx context.Context, tenant string) (out []string) {
		resp, err := calls.ListCalls(ctx, &hostv1.ListCallsRequest{Tenant: tenant})
		require.NoError(t, err)
		for _, c := range resp.GetCalls() {
			out = append(out, c.GetCallId())
		}
		return out
	}
	require.Len(t, list(r.ctx(), ""), 3)
	require.Equal(t, []string{"own"}, list(r.ctx(), "acme"))
	require.Equal(t, []string{"own"}, list(r.give(store.Token{Name: "crm", Tenant: "acme", Scopes: []store.Scope{store.ScopeRead}}), ""))
	require.Empty(t, list(r.ctx(), "globex"))
}
