package rest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeAPI answers what the tests know by heart.
type fakeAPI struct {
	hostv1.UnimplementedCallServiceServer
	hostv1.UnimplementedRunServiceServer
	sent chan *hostv1.SendEventRequest
	md   chan metadata.MD
}

func (f *fakeAPI) SendEvent(ctx context.Context, req *hostv1.SendEventRequest) (*hostv1.SendEventResponse, error) {
	if req.GetEvent().GetType() == "" {
		return nil, refused(codes.InvalidArgument, &hostv1.ErrorInfo{
			Code: "invalid", Hint: "look at it", Fields: []*hostv1.FieldError{{Field: "event.type", Message: "it is missing"}},
		})
	}
	md, _ := metadata.FromIncomingContext(ctx)
	f.sent <- req
	f.md <- md
	return &hostv1.SendEventResponse{EventId: "7"}, nil
}

func (*fakeAPI) GetRun(_ context.Context, req *hostv1.GetRunRequest) (*hostv1.GetRunResponse, error) {
	code := req.GetId()
	return nil, refused(map[string]codes.Code{
		"not_found": codes.NotFound, "conflict": codes.FailedPrecondition, "limit": codes.ResourceExhausted, "full": codes.ResourceExhausted,
		"denied": codes.PermissionDenied, "unauthenticated": codes.Unauthenticated, "position_expired": codes.OutOfRange,
		"unavailable": codes.Unavailable, "internal": codes.Internal,
	}[code], &hostv1.ErrorInfo{Code: code})
}

func (*fakeAPI) WatchRun(req *hostv1.WatchRunRequest, out grpc.ServerStreamingServer[hostv1.WatchRunResponse]) error {
	if req.GetId() == "0" {
		return refused(codes.FailedPrecondition, &hostv1.ErrorInfo{Code: "conflict"})
	}
	for _, state := range []string{"processing", "processed"} {
		if err := out.Send(&hostv1.WatchRunResponse{Run: &hostv1.Run{Id: req.GetId(), State: state}}); err != nil {
			return err
		}
	}
	return refused(codes.Unavailable, &hostv1.ErrorInfo{Code: "unavailable"})
}

func refused(code codes.Code, info *hostv1.ErrorInfo) error {
	s, err := status.New(code, "no").WithDetails(info)
	if err != nil {
		return err
	}
	return s.Err()
}

// open serves an API and returns where the gateway to it answers.
func open(t *testing.T, api *fakeAPI) string {
	t.Helper()
	l := bufconn.Listen(64 << 10)
	srv := grpc.NewServer()
	hostv1.RegisterCallServiceServer(srv, api)
	hostv1.RegisterRunServiceServer(srv, api)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	g := New(Options{
		Dial:     l.DialContext,
		Document: func(m proto.Message) ([]byte, error) { return protojson.MarshalOptions{UseProtoNames: true}.Marshal(m) },
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	web := httptest.NewServer(http.MaxBytesHandler(g, 1<<10))
	t.Cleanup(func() {
		web.Close()
		cancel()
		require.NoError(t, <-ended)
		srv.Stop()
		require.NoError(t, <-served)
	})
	require.Eventually(t, func() bool { return g.mux.Load() != nil }, time.Minute, time.Millisecond)
	return web.URL
}

// answered is the head of an answer.
type answered struct {
	code   int
	header http.Header
}

func ask(t *testing.T, method, url, body string, headers ...string) (answered, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answered{code: resp.StatusCode, header: resp.Header}, string(text)
}

const eventsPath = "/api/v1/tenants/acme/integrations/crm/events"

// A request becomes a call with the token and the key that came with it, and nothing
// else of its headers; what is JSON in it stays that JSON.
//
// rows: F22, G35
func TestARequestBecomesACall(t *testing.T) {
	t.Parallel()
	api := &fakeAPI{sent: make(chan *hostv1.SendEventRequest, 1), md: make(chan metadata.MD, 1)}
	url := open(t, api)
	resp, text := ask(t, http.MethodPost, url+eventsPath+"?wait=1.5s", `{"type":"ticket.create","call_id":"c-1","fields":{"note":"a <b>","n":[1,2]}}`,
		"Authorization", "Bearer x", "Idempotency-Key", "k-1", "X-Other", "1", "Grpc-Metadata-Authorization", "Bearer y")
	require.Equal(t, http.StatusOK, resp.code, text)
	require.Equal(t, "application/json", resp.header.Get("Content-Type"))
	require.JSONEq(t, `{"event_id":"7"}`, text)
	got, md := <-api.sent, <-api.md
	require.Equal(t, "acme", got.GetTenant())
	require.Equal(t, "crm", got.GetIntegration())
	require.Equal(t, 1500*time.Millisecond, got.GetWait().AsDuration())
	require.JSONEq(t, `{"note":"a <b>","n":[1,2]}`, string(got.GetEvent().GetFields()))
	require.Equal(t, []string{"Bearer x"}, md.Get("authorization"))
	require.Equal(t, []string{"k-1"}, md.Get("idempotency-key"))
	require.Empty(t, md.Get("x-other"))
}

// rows: G35
func TestErrorsAreProblems(t *testing.T) {
	t.Parallel()
	url := open(t, &fakeAPI{})
	check := func(resp answered, text string, code int, kind string) problem {
		t.Helper()
		require.Equal(t, code, resp.code, text)
		require.Equal(t, "application/problem+json", resp.header.Get("Content-Type"))
		var p problem
		require.NoError(t, json.Unmarshal([]byte(text), &p), text)
		require.Equal(t, kind, p.Code)
		require.Equal(t, code, p.Status)
		require.Equal(t, http.StatusText(code), p.Title)
		return p
	}
	for kind, code := range map[string]int{
		"not_found": 404, "conflict": 409, "limit": 429, "full": 507, "denied": 403, "unauthenticated": 401, "position_expired": 410, "unavailable": 503, "internal": 500,
	} {
		resp, text := ask(t, http.MethodGet, url+"/api/v1/runs/"+kind, "")
		check(resp, text, code, kind)
		require.Equal(t, code == 401, resp.header.Get("WWW-Authenticate") != "")
	}
	resp, text := ask(t, http.MethodPost, url+eventsPath, "{}")
	p := check(resp, text, 400, "invalid")
	require.Equal(t, []fieldError{{"event.type", "it is missing"}}, p.Errors)
	require.Equal(t, "look at it", p.Hint)
	resp, text = ask(t, http.MethodPost, url+eventsPath, `{"typ":"x"}`)
	require.Contains(t, check(resp, text, 400, "invalid").Detail, "typ")
	resp, text = ask(t, http.MethodPost, url+eventsPath, `{"type":`)
	check(resp, text, 400, "invalid")
	resp, text = ask(t, http.MethodPost, url+eventsPath, strings.Repeat(" ", 2<<10))
	check(resp, text, 413, "limit")
	resp, text = ask(t, http.MethodGet, url+"/api/v1/nowhere", "")
	check(resp, text, 404, "not_found")
	resp, text = ask(t, http.MethodPatch, url+"/api/v1/runs/1", "")
	check(resp, text, 405, "invalid")
	resp, text = ask(t, http.MethodPost, url+"/api/v1/runs/1", "", "X-HTTP-Method-Override", "GET")
	check(resp, text, 405, "invalid")
	resp, text = ask(t, http.MethodGet, url+"/api/v1/runs/0:watch", "")
	check(resp, text, 409, "conflict")
}

// rows: G35
func TestAStreamIsALineOrAnEventEach(t *testing.T) {
	t.Parallel()
	url := open(t, &fakeAPI{})
	for accept, want := range map[string]struct{ kind, before, between string }{
		"":                  {"application/x-ndjson", "", "\n"},
		"text/event-stream": {"text/event-stream", "data: ", "\n\n"},
	} {
		resp, text := ask(t, http.MethodGet, url+"/api/v1/runs/12:watch", "", "Accept", accept)
		require.Equal(t, http.StatusOK, resp.code)
		require.Equal(t, want.kind, resp.header.Get("Content-Type"))
		var states []string
		for part := range strings.SplitSeq(strings.TrimSpace(text), want.between) {
			rest, ok := strings.CutPrefix(part, want.before)
			require.True(t, ok, part)
			var got struct {
				Run   struct{ State string }
				Error *problem
			}
			require.NoError(t, json.Unmarshal([]byte(rest), &got), part)
			if got.Error != nil {
				states = append(states, got.Error.Code)
				continue
			}
			states = append(states, got.Run.State)
		}
		require.Equal(t, []string{"processing", "processed", "unavailable"}, states)
	}
}

// Without the API there is an answer all the same.
func TestTheAPIIsAway(t *testing.T) {
	t.Parallel()
	g := New(Options{Dial: func(context.Context) (net.Conn, error) { return nil, io.EOF }})
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/runs", http.NoBody))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	text, err := bufio.NewReader(w.Body).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, text, `"code":"unavailable"`)
}
