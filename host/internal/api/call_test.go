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
