package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/address"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/egress"
	"github.com/jackfield/jackfield/host/internal/endpoint"
)

// Integrations of one template and one host have connections of their own, and those of
// what was granted before are not used any more.
//
// rows: E01
func TestEachIntegrationHasConnectionsOfItsOwn(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `"`+r.RemoteAddr+`"`)
	}))
	t.Cleanup(server.Close)
	grant, err := address.ParseGrant("127.0.0.1")
	require.NoError(t, err)
	ts := &templates{compiler: endpoint.NewCompiler(), transports: egress.New(egress.Options{Allow: []address.Grant{grant}}).Transports(egress.ClientOptions{PlainHTTP: true})}
	t.Cleanup(ts.transports.Renew)
	ts.allow([]address.Grant{grant})
	engine, err := endpoint.New(endpoint.Options{Transport: guardedEach(ts.transports), Tokens: noTokens{}, Plain: ts.plainHTTP})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "t.yaml")
	require.NoError(t, os.WriteFile(path, []byte("name: t\ntype: CRM\nrequest: {base_url: \"http://{{ host }}\"}\nendpoints: [{name: get, type: GetData, url: /}]\n"), 0o600))
	f, problems := config.LoadTemplateFile(path, templateOptions(ts.compiler, config.Options{}))
	require.NoError(t, problems.Err())
	tpl, faults := ts.compiler.Compile(f.Template)
	require.Empty(t, faults)
	from := func(id string) any {
		t.Helper()
		in := endpoint.Integration{ID: id, Name: "acme/" + id, Template: tpl, Host: strings.TrimPrefix(server.URL, "http://")}
		res, err := engine.Call(t.Context(), in, "get", endpoint.Given{})
		require.NoError(t, err)
		return res.Body
	}
	ofA, ofB := from("a"), from("b")
	require.NotEqual(t, ofA, ofB)
	require.Equal(t, []any{ofA, ofB}, []any{from("a"), from("b")})
	ts.allow([]address.Grant{grant})
	require.Equal(t, ofA, from("a"), "nothing changed")
	other, err := address.ParseGrant("127.0.0.0/8")
	require.NoError(t, err)
	ts.allow([]address.Grant{other})
	require.NotEqual(t, ofA, from("a"))
}
