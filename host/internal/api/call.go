package api

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Calls takes what happens in calls and keeps it.
type Calls interface {
	// Send stores an event, has its hook run and waits for it. What is wrong with the
	// event comes as *Error.
	Send(ctx context.Context, in store.Integration, r CallRequest) (CallSent, error)
	// Resolve stores what a person says of an event whose outcome is unknown, or that
	// failed.
	Resolve(ctx context.Context, event int64, how store.EventResolution, log store.CallLog) (store.CallEvent, error)
	// Hooks tells what runs at the events of an integration.
	Hooks(ctx context.Context, in store.Integration) []CallHook

	Call(ctx context.Context, id int64) (store.Call, error)
	CallByExternal(ctx context.Context, integration, external string) (store.Call, error)
	Calls(ctx context.Context, f store.CallFilter) ([]store.Call, error)
	CallEvents(ctx context.Context, call int64) ([]store.CallEvent, error)
	CallEvent(ctx context.Context, id int64) (store.CallEvent, error)
	CallCounts(ctx context.Context) (store.CallCounts, error)
	// Changed returns a channel that is closed after the next change of any call.
	Changed() <-chan struct{}
}

// CallRequest is an event that somebody sends.
type CallRequest struct {
	Event sdk.CallEvent
	Key   string         // of idempotency
	Wait  *time.Duration // nil: as the event asks for
}

// CallSent is what the sender is told.
type CallSent struct {
	Call     store.Call
	Event    store.CallEvent
	Replayed bool
}

// CallHook is what runs at an event.
type CallHook struct {
	Event store.CallEventType
	Hook  string
	Way   store.HookWay
	Runs  []string
}

type callService struct {
	hostv1.UnimplementedCallServiceServer
	*Server
}

// SendEvent takes an event.
func (s *callService) SendEvent(ctx context.Context, req *hostv1.SendEventRequest) (*hostv1.SendEventResponse, error) {
	e, err := eventOf(req.GetEvent())
	if err != nil {
		return nil, err
	}
	if req.GetScreen() && e.Agent == "" {
		return nil, invalid("a screen is for one person", "event: agent: is required for a screen")
	}
	in, err := s.findIntegration(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	r := CallRequest{Event: e, Key: req.GetIdempotencyKey()}
	if req.GetWait() != nil {
		wait := req.GetWait().AsDuration()
		if wait < 0 {
			return nil, invalid("such as 3s", "wait: %s is not a time", wait)
		}
		r.Wait = &wait
	}
	sent, err := s.deps.Calls.Send(ctx, in, r)
	if err != nil {
		return nil, err
	}
	resp := &hostv1.SendEventResponse{
		EventId: idText(sent.Event.ID), Id: idText(sent.Event.CallID), Result: s.eventResult(sent.Event), Replayed: sent.Replayed,
	}
	if req.GetScreen() {
		resp.Screen = s.screenLink(ctx, in, ScreenRequest{Call: e.CallID, Agent: e.Agent, Origin: req.GetScreenOrigin()})
	}
	return resp, nil
}

// screenLink returns the address of a screen, or why there is none: the event that it is
// asked for with was taken.
func (s *callService) screenLink(ctx context.Context, in store.Integration, r ScreenRequest) *hostv1.ScreenLink {
	address, until, err := s.deps.Screens.Open(ctx, in, r)
	if err != nil {
		return &hostv1.ScreenLink{Problem: status.Convert(s.answer(ctx, hostv1.CallService_SendEvent_FullMethodName, err)).Message()}
	}
	return &hostv1.ScreenLink{Url: address, ExpiresAt: timestamp(until)}
}

// ListCalls returns a page of them.
func (s *callService) ListCalls(ctx context.Context, req *hostv1.ListCallsRequest) (*hostv1.ListCallsResponse, error) {
	before, err := parsePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	f := store.CallFilter{Tenant: req.GetTenant(), Open: req.GetOpen(), Unknown: req.GetUnknown(), Before: before, Limit: pageSize(req.GetPageSize()) + 1}
	if req.GetIntegration() != "" {
		in, err := s.findIntegration(ctx, req.GetIntegration())
		if err != nil {
			return nil, err
		}
		f.Integration, f.Tenant = in.UID, ""
	}
	list, err := s.deps.Calls.Calls(ctx, f)
	if err != nil {
		return nil, err
	}
	list, next := page(list, f.Limit-1, func(c store.Call) int64 { return c.ID })
	if f.Tenant != "" {
		list, err = s.ownCalls(ctx, f.Tenant, list)
	}
	return &hostv1.ListCallsResponse{Calls: convert(list, callInfo), Next: next}, err
}

// ownCalls returns of calls those whose integration is a tenant's now: they keep the
// name of a tenant that was deleted, which another may have since.
func (s *callService) ownCalls(ctx context.Context, tenant string, list []store.Call) ([]store.Call, error) {
	owns := map[string]bool{}
	own := list[:0]
	for _, c := range list {
		owned, known := owns[c.Integration]
		if !known {
			in, err := s.deps.Store.IntegrationByUID(ctx, c.Integration)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			owned = err == nil && in.Tenant == tenant
			owns[c.Integration] = owned
		}
		if owned {
			own = append(own, c)
		}
	}
	return own, nil
}

// findCall returns a call by the host's number, or by the sender's id.
func (s *callService) findCall(ctx context.Context, id, integration string) (store.Call, error) {
	if integration == "" {
		n, err := parseID("call", id)
		if err != nil {
			return store.Call{}, err
		}
		return s.deps.Calls.Call(ctx, n)
	}
	in, err := s.findIntegration(ctx, integration)
	if err != nil {
		return store.Call{}, err
	}
	return s.deps.Calls.CallByExternal(ctx, in.UID, id)
}

// GetCall returns a call with its events.
func (s *callService) GetCall(ctx context.Context, req *hostv1.GetCallRequest) (*hostv1.GetCallResponse, error) {
	c, err := s.findCall(ctx, req.GetId(), req.GetIntegration())
	if err != nil {
		return nil, err
	}
	return s.wholeCall(ctx, c)
}

func (s *callService) wholeCall(ctx context.Context, c store.Call) (*hostv1.GetCallResponse, error) {
	events, err := s.deps.Calls.CallEvents(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	resp := &hostv1.GetCallResponse{
		Call: callInfo(c), Events: convert(events, s.eventInfo), Context: []byte(s.opts.Redact(string(c.Context))),
	}
	if len(c.Screen) > 0 {
		resp.Screen = s.callAnswer(c.Screen)
	}
	return resp, nil
}

// WatchCall sends a call after each change.
func (s *callService) WatchCall(req *hostv1.WatchCallRequest, out grpc.ServerStreamingServer[hostv1.WatchCallResponse]) error {
	release, err := s.acquire()
	if err != nil {
		return err
	}
	defer release()
	ctx, seen := out.Context(), int64(0)
	for {
		changed := s.deps.Calls.Changed()
		c, err := s.findCall(ctx, req.GetId(), req.GetIntegration())
		if err != nil {
			return err
		}
		if c.Version != seen {
			whole, err := s.wholeCall(ctx, c)
			if err != nil {
				return err
			}
			if err := out.Send(&hostv1.WatchCallResponse{Call: whole}); err != nil {
				return err
			}
			seen = c.Version
		}
		if c.State == store.CallClosed {
			return nil
		}
		if err := s.wait(ctx, changed); err != nil {
			return err
		}
	}
}

// maxHookIntegrations bounds those whose hooks are listed at once.
const maxHookIntegrations = 1000

// ListHooks tells what runs at which event.
func (s *callService) ListHooks(ctx context.Context, req *hostv1.ListHooksRequest) (*hostv1.ListHooksResponse, error) {
	var list []store.Integration
	if req.GetIntegration() != "" {
		in, err := s.findIntegration(ctx, req.GetIntegration())
		if err != nil {
			return nil, err
		}
		list = append(list, in)
	} else {
		var err error
		if list, err = s.deps.Store.Integrations(ctx, store.IntegrationFilter{Tenant: req.GetTenant(), Limit: maxHookIntegrations}); err != nil {
			return nil, err
		}
	}
	resp := &hostv1.ListHooksResponse{}
	for _, in := range list {
		if !in.RemovedAt.IsZero() {
			continue
		}
		for _, h := range s.deps.Calls.Hooks(ctx, in) {
			resp.Hooks = append(resp.Hooks, &hostv1.HookInfo{
				Integration: in.FullName(), Event: string(h.Event), Hook: h.Hook, Way: string(h.Way), Runs: h.Runs,
			})
		}
	}
	return resp, nil
}

// ResolveEvent stores what a person says of an event.
func (s *callService) ResolveEvent(ctx context.Context, req *hostv1.ResolveEventRequest) (*hostv1.ResolveEventResponse, error) {
	id, err := parseID("call", req.GetEventId())
	if err != nil {
		return nil, err
	}
	e, err := s.deps.Calls.Resolve(ctx, id, store.EventResolution(req.GetAction()), store.CallLog{ID: req.GetExternalId(), URL: req.GetUrl()})
	if err != nil {
		return nil, err
	}
	return &hostv1.ResolveEventResponse{Event: s.eventInfo(e)}, nil
}

// eventOf converts. What is wrong with the values, Send tells.
func eventOf(e *hostv1.CallEvent) (sdk.CallEvent, error) {
	out := sdk.CallEvent{
		Type: e.GetType(), CallID: e.GetCallId(), LegID: e.GetLegId(), Agent: e.GetAgent(), Direction: e.GetDirection(), From: e.GetFrom(), To: e.GetTo(),
		Result: e.GetResult(), Duration: int(e.GetDuration().AsDuration() / time.Second), Recording: e.GetRecording(), Disposition: e.GetDisposition(),
		Update: e.GetUpdate(), TransferTo: e.GetTransferTo(), Text: e.GetText(), UserInfo: e.GetUserInfo(),
	}
	if e.GetAt() != nil {
		out.At = e.GetAt().AsTime()
	}
	if len(e.GetFields()) > 0 {
		if json.Unmarshal(e.GetFields(), &out.Fields) != nil || out.Fields == nil {
			return out, invalid("", "event: fields: is no JSON object")
		}
	}
	return out, nil
}
