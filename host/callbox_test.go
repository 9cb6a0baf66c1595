//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
)

// templateSite is a site with one integration acme/crm of a template whose only field
// is a key.
func templateSite(t *testing.T, template, host string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	s.write("host.yaml", fmt.Sprintf("version: 1\nlisten: off\nplugins: {dir: ./plugins}\negress: {allow: [%q]}\ncalls: {lookup: 25s}\n", host))
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "plugins"), 0o750))
	s.write("templates/crm.yaml", template)
	s.write("tenants/acme.yaml", fmt.Sprintf("tenant: acme\nintegrations:\n  - {name: crm, template: acme-crm, callcenter: cc-1, host: %q, fields: {key: key-of-acme}}\n", host))
	return s
}

// sentDoc is what hook fire prints.
type sentDoc struct {
	EventID  string `json:"event_id"`
	ID       string
	Replayed bool
	Result   struct {
		State  string
		Answer struct {
			ID, URL, Route string
			Contacts       []struct{ ID, Name, Company string }
			FieldErrors    map[string]string `json:"field_errors"`
			Iframe         json.RawMessage
		}
		Error struct{ Code, Message, Outcome string }
	}
}

// fire sends an event; it may fail.
func (s *site) fire(args ...string) (out sentDoc) {
	s.t.Helper()
	s.doc(&out, append([]string{"hook", "fire"}, args...)...)
	return out
}

// A call rings, is looked up, connects, ends and is wrapped up: each of its events runs
// what the template declares for it, once, and what came of it is shown.
//
// rows: G21, G23, G25, G27, F22
func TestACallOfATemplate(t *testing.T) {
	t.Parallel()
	c := newChainCRM(t)
	s := templateSite(t, chainTemplate, c.Listener.Addr().String())
	stop := s.open(runner.Options{})
	defer stop()
	var hooks struct {
		Hooks []struct {
			Event, Hook, Way string
			Runs             []string
		}
	}
	s.noticed("the files are read", func() bool {
		s.doc(&hooks, "hook", "list")
		return len(hooks.Hooks) > 0
	})
	require.Equal(t, []string{"find", "deals"}, hooks.Hooks[0].Runs)
	require.Equal(t, "chain", hooks.Hooks[0].Way)

	rings := []string{"call.started", "acme/crm", "--call", "4711", "--from", "+49301234567", "--to", "200", "--agent", "ann", "--key", "k1", "--wait", "30s"}
	started := s.fire(rings...)
	require.Equal(t, "done", started.Result.State)
	require.Equal(t, "sales", started.Result.Answer.Route)
	require.Equal(t, "Acme", started.Result.Answer.Contacts[0].Company)
	require.Equal(t, []string{"GET /contacts?phone=%2B49301234567", "GET /deals/7"}, c.asked())
	again := s.fire(rings...)
	require.True(t, again.Replayed)
	require.Equal(t, started.Result, again.Result)
	require.Empty(t, c.asked(), "the same event runs nothing")
	_, err := s.try("hook", "fire", "call.started", "acme/crm", "--call", "4711", "--from", "+491", "--key", "k1")
	require.ErrorContains(t, err, "idempotency key")

	require.Equal(t, "skipped", s.fire("call.connected", "acme/crm", "--call", "4711").Result.State, "the template declares nothing for it")
	s.fire("call.updated", "acme/crm", "--call", "4711", "--update", "transfer", "--agent", "ann", "--transfer-to", "ben")
	s.fire("call.updated", "acme/crm", "--call", "4711", "--update", "contact", "contact_id=7")
	ended := s.fire("call.ended", "acme/crm", "--call", "4711", "--result", "COMPLETED", "--duration", "93s", "--wait", "30s")
	require.Equal(t, "done", ended.Result.State)
	require.Equal(t, "l-1", ended.Result.Answer.ID)
	require.Equal(t, []string{`POST /logs {"contact":"7","result":"COMPLETED"}`, `POST /ended {"id":"4711"}`}, c.asked())
	require.Equal(t, "done", s.fire("call.wrapup", "acme/crm", "--call", "4711", "--disposition", "sold", "--wait", "30s").Result.State)
	require.Equal(t, []string{`POST /wrapped {"id":"4711"}`}, c.asked())

	out, err := s.try("hook", "fire", "call.begun", "acme/crm")
	require.Error(t, err)
	require.Contains(t, out+err.Error(), "call_id: is required; type: is one of")
	page := s.cli("call", "show", "-i", "acme/crm", "4711")
	for _, want := range []string{"+49301234567", "l-1", "sold", "call.wrapup", "call.updated (transfer to ben)", "contact      7", "deals", "Company: Acme", "A ticket: ticket.create, subject (needed), contact", "Deal | Value, Big | 100 EUR, Small | 1.5 EUR"} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "key-of-acme")
	require.Contains(t, s.cli("call", "list"), "4711")
	require.Contains(t, s.cli("db", "check", "--deep"), "inbox: I08 unknown")
}
