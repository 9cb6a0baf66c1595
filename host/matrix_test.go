package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/proto/openapi"
	"github.com/jackfield/jackfield/store"
)

// route is one of the description's, with what it says of who may use it.
type route struct {
	method, path string
	op           *openapi3.Operation
	access       map[string]any
}

// routes reads the description.
func routes(t *testing.T) (all []route) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			access, ok := op.Extensions["x-jackfield-access"].(map[string]any)
			require.True(t, ok, "%s %s does not say who may use it", method, path)
			all = append(all, route{method: method, path: path, op: op, access: access})
		}
	}
	require.Greater(t, len(all), 50)
	slices.SortFunc(all, func(a, b route) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// matrix is a daemon with the things of acme, and tokens of all sorts.
type matrix struct {
	*site
	base   string
	tokens map[string]string
	values map[string]map[string]string // of what stands in paths, by right
	asked  int
}

var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

// fill puts things of acme into a path.
func (m *matrix) fill(r route) string {
	return placeholder.ReplaceAllStringFunc(r.path, func(found string) string {
		name := strings.Trim(found, "{}")
		if strings.HasPrefix(r.path, "/api/v1/tenants/{name}") {
			return "acme"
		}
		if name == "id" && r.access["call"] == name && strings.Contains(r.path, "{tenant}") {
			return "c-1" // as the sender knows it
		}
		for right, field := range r.access {
			if field == name {
				if v := m.values[right][name]; v != "" {
					return v
				}
			}
		}
		v := m.values[""][name]
		require.NotEmpty(m.t, v, "%s: nothing to put into %s", r.path, name)
		return v
	})
}

// ask sends a request to a route. What begins to answer and does not end is cut off.
func (m *matrix) ask(r route, token string) (code int, kind, text string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var body io.Reader = http.NoBody
	if r.op.RequestBody != nil {
		body = strings.NewReader("{}")
	}
	req, err := http.NewRequestWithContext(ctx, r.method, m.base+m.fill(r), body)
	require.NoError(m.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	m.asked++ // failures are limited for each address: they come from several
	from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(m.asked/2000), byte(m.asked/20%100+1))}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{LocalAddr: from}).DialContext}}
	resp, err := client.Do(req)
	require.NoError(m.t, err, "%s %s", r.method, r.path)
	defer func() { _ = resp.Body.Close() }()
	raw := make([]byte, 64<<10)
	n, _ := resp.Body.Read(raw)
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(raw[:n])
}

// own is what a token that may use a route gets where it is not 200: the route acts, and
// cannot with what it is given here.
func own() map[string]int {
	return map[string]int{
		"AuthService_BeginConnect":             400,
		"AuthService_FinishConnect":            400,
		"CallService_ResolveEvent":             400,
		"CallService_SendEvent":                400,
		"DatabaseService_BackupDatabase":       400,
		"EndpointService_CallEndpoint":         400,
		"EndpointService_GetEndpoint":          400,
		"EndpointService_GetEndpoint_2":        404,
		"EndpointService_ListEndpoints_2":      400,
		"EndpointService_ListEndpoints_3":      404,
		"EndpointService_RenderEndpoint":       400,
		"IntegrationService_DeleteIntegration": 409,
		"MemberService_GetMember":              404,
		"MemberService_UndoMemberMerge":        404,
		"RunService_CancelRun":                 409,
		"RunService_ContinueRun":               409,
		"ScreenService_OpenScreen":             400,
		"StreamService_ListStreams":            400,
		"StreamService_RetryStream":            409,
		"StreamService_SkipStream":             409,
		"StreamService_ProcessStream":          409,
		"StreamService_RetryStreams":           400,
		"TenantService_DeleteTenant":           409,
		"TokenService_CreateToken":             400,
	}
}

// foreign is what the token of another tenant gets.
func foreign(r route) int {
	inPath := func(right string) bool {
		field, _ := r.access[right].(string)
		return field != "" && strings.Contains(r.path, "{"+field+"}")
	}
	switch {
	case r.access["host"] == true, strings.Contains(r.path, "{tenant}"), inPath("tenant"):
		return http.StatusForbidden
	case inPath("run"), inPath("stream"), inPath("token"), inPath("call"), inPath("event"):
		return http.StatusNotFound // whether there is one is not told
	case r.access["tenant"] != nil:
		return 0 // as its own: it is another list
	default:
		return nothingNamed
	}
}

// nothingNamed is what a tenant's token gets if a request does not say what of the
// tenant it is about.
const nothingNamed = -http.StatusForbidden

// Each route that the description has is asked with each sort of token. One that is new
// is among them by itself, and one that does not say who may use it fails.
//
// rows: X01, X05, K20, G35
func TestEachRouteAgainstEachToken(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all addresses of 127.0.0.0/8")
	}
	m := startMatrix(t)
	var wrong []string
	for _, r := range routes(t) {
		for _, c := range entitled(r) {
			code, kind, text := m.ask(r, m.tokens[c.token])
			switch {
			case code != c.want:
				wrong = append(wrong, fmt.Sprintf("%s %s with the token %q: %d instead of %d: %s", r.method, r.path, c.token, code, c.want, text))
			case code >= 400 && kind != "application/problem+json":
				wrong = append(wrong, fmt.Sprintf("%s %s with the token %q: an error as %s: %s", r.method, r.path, c.token, kind, text))
			case c.token == "globex" && strings.Contains(text, "acme"):
				wrong = append(wrong, fmt.Sprintf("%s %s tells globex of acme: %s", r.method, r.path, text))
			}
		}
	}
	require.Empty(t, wrong, "\n%s", strings.Join(wrong, "\n"))
	for _, path := range []string{"/api/v1/calls", "/api/v1/tenants/acme/calls"} {
		_, text := m.get(m.base+path, m.tokens["acme read"])
		require.Contains(t, text, `"c-1"`, "%s: all calls of its tenant", path)
		_, text = m.get(m.base+path, m.tokens["globex"])
		require.NotContains(t, text, "c-1", path)
	}
	events := m.cli("event", "list", "--kind", "token")
	require.Contains(t, events, "token.revoked")
	require.Contains(t, events, "host-operate")
	for name, secret := range m.tokens {
		require.True(t, secret == "" || !strings.Contains(events, secret), "an event opens what the token %q does", name)
	}
}

// expectation is what a token gets of a route.
type expectation struct {
	token string
	want  int
}

// entitled returns what each sort of token gets of a route.
func entitled(r route) []expectation {
	scope, _ := r.access["scope"].(string)
	done := http.StatusOK
	if of, ok := own()[r.op.OperationID]; ok {
		done = of
	}
	theirs := cmp.Or(max(foreign(r), -foreign(r)), done)
	all := []expectation{
		{"", http.StatusUnauthorized},
		{"wrong", http.StatusUnauthorized},
		{"expired", http.StatusUnauthorized},
		{"revoked", http.StatusUnauthorized},
		{"not " + scope, http.StatusForbidden},
		{"globex", theirs},
	}
	switch {
	case r.access["host"] == true:
		return append(all, expectation{"acme " + scope, http.StatusForbidden}, expectation{scope, done})
	case foreign(r) == nothingNamed: // it asks for what is of all tenants
		return append(all, expectation{"acme " + scope, http.StatusForbidden}, expectation{scope, done})
	default:
		return append(all, expectation{"acme " + scope, done})
	}
}

func startMatrix(t *testing.T) *matrix {
	t.Helper()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	s.write("tenants/globex.yaml", "tenant: globex\nintegrations: [{name: load, plugin: load, connectors: [things], every: -1, settings: {streams: 1, pages: 1, records: 1}}]\n")
	d := s.start()
	m := &matrix{site: s, base: "http://" + s.httpAddress(), tokens: map[string]string{"": "", "wrong": "jft_" + strings.Repeat("A", 43)}}
	s.await(store.RunProcessed)
	create := func(name string, args ...string) (id string) {
		id, m.tokens[name] = s.token(args...)
		return id
	}
	create("expired", "short", "--scope", "admin", "--expires", "5s")
	s.cli("token", "revoke", create("revoked", "old", "--scope", "admin"))
	create("globex", "theirs", "--scope", "admin", "--tenant", "globex")
	for _, scope := range store.Scopes() {
		create(string(scope), "host-"+string(scope), "--scope", string(scope))
		create("acme "+string(scope), "key-of-acme", "--scope", string(scope), "--tenant", "acme")
		var others []string
		for _, other := range store.Scopes() {
			if other != scope && other != store.ScopeAdmin {
				others = append(others, string(other))
			}
		}
		create("not "+string(scope), "without-"+string(scope), "--scope", strings.Join(others, ","))
	}
	ids := func(list string, args ...string) string {
		var doc map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(s.cli(append(args, "-o", "json")...)), &doc))
		var all []struct{ ID string }
		require.NoError(t, json.Unmarshal(doc[list], &all))
		require.NotEmpty(t, all)
		return all[0].ID
	}
	var fired struct {
		ID      string `json:"id"`
		EventID string `json:"event_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.cli("hook", "fire", "call.started", "acme/load", "--call", "c-1", "--from", "+4930123456", "--to", "+4930654321", "-o", "json")), &fired))
	run := ids("runs", "run", "list", "--integration", "acme/load")
	m.values = map[string]map[string]string{
		"":       {"tenant": "acme", "name": "load", "integration": "load", "id": "1", "template": "none", "endpoint": "none", "call_id": "c-1", "run_id": run, "event_id": "1"},
		"run":    {"id": run, "run_id": run},
		"stream": {"id": ids("streams", "stream", "list", "--run", run)},
		"call":   {"id": fired.ID},
		"event":  {"event_id": fired.EventID},
		"token":  {"id": create("spare", "key-of-acme", "--tenant", "acme")},
	}
	t.Cleanup(func() { d.stop(t) })
	require.Eventually(t, func() bool {
		code, _ := s.get(m.base+"/api/v1/tenants", m.tokens["expired"])
		return code == http.StatusUnauthorized
	}, time.Minute, 50*time.Millisecond)
	return m
}

// token makes a token and returns its id and what opens the API.
func (s *site) token(args ...string) (id, secret string) {
	s.t.Helper()
	var made struct {
		Token  struct{ ID string }
		Secret string
	}
	require.NoError(s.t, json.Unmarshal([]byte(s.cli(append([]string{"token", "create", "-o", "json"}, args...)...)), &made))
	require.NotEmpty(s.t, made.Secret)
	return made.Token.ID, made.Secret
}
