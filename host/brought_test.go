//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// broughtInfo is what the template of a folder says besides its endpoints.
const broughtInfo = `info:
  renderTooltip: [{path: /contacts, element: "#phone"}]
  listOptions: [{name: ticket, label: A ticket for each call}, {name: copy, label: Copy contacts, default: true}]
  userInfo: [{field: agent_id, path: /home, element: .me}]
  hooks: {savePreLogCRM: {steps: [{objectName: who, endpoint: find}], id: "{{ context.who.items[0].id }}"}}
iframe:
  title: "{{ context.found[0].name }}, {{ context.mood }}"
  components: [{type: text, label: Number, text: "{{ call.number }}"}]
`

// broughtFolder is a folder of functions with a template of its own.
func broughtFolder() map[string][]byte {
	folder := functionFolder("one")
	folder["plugin.yaml"] = []byte(strings.Replace(string(folder["plugin.yaml"]), "  template: acme-crm\n", "", 1))
	folder["template.yaml"] = []byte(crmTemplate + broughtInfo)
	folder["function.ts"] = []byte(`export async function getDataIframe(call: any, ctx: any) {
	const found = await ctx.endpoint("find", { number: call.event.number });
	const { ticket, copy } = ctx.options;
	return {
		id: [ticket, copy, call.options.ticket === ticket, call.event.user_info.agent_id].join(" "),
		contacts: [{ id: found.items[0].id, name: found.items[0].name }],
		context: { mood: "calm" },
	};
}
`)
	delete(folder, "word.ts")
	return folder
}

// A folder of functions brings its template along: its endpoints can be called, its
// info is served, what an integration chooses and what pages say reaches its functions,
// its chain runs where it has no function, and its screen shows what a function answers.
// One that is bad, or that an integration does not fit, is refused while the one before
// goes on.
//
// rows: G31, G32, G33, G34, G35
func TestAPluginBringsItsTemplateAlong(t *testing.T) {
	t.Parallel()
	s := functionSite(t, "dir")
	require.NoError(t, os.Remove(filepath.Join(s.dir, "templates", "acme.yaml")))
	tenant, err := os.ReadFile(filepath.Join(s.dir, "tenants", "acme.yaml"))
	require.NoError(t, err)
	chooses := func(name string) {
		s.write("tenants/acme.yaml", strings.Replace(string(tenant), "plugin: acme-crm,", "plugin: acme-crm, info: {options: {"+name+": true}},", 1))
	}
	chooses("ticket")
	s.unfold("crm-folder", broughtFolder())
	s.args = []string{"--dev"}
	d := s.start()
	s.ready()
	s.until("its integration is active", func() bool { return s.shown("acme/crm").State == "active" })

	var shown struct{ Info store.TemplateInfo }
	s.until("its info is served", func() bool {
		s.doc(&shown, "integration", "show", "acme/crm")
		return len(shown.Info.ListOptions) > 0
	})
	require.Equal(t, store.TemplateInfo{
		RenderTooltip: []store.Tooltip{{Path: "/contacts", Element: "#phone"}},
		ListOptions:   []store.ListOption{{Name: "ticket", Label: "A ticket for each call"}, {Name: "copy", Label: "Copy contacts", Default: true}},
		UserInfo:      []store.UserInfo{{Field: "agent_id", Path: "/home", Element: ".me"}},
		Options:       map[string]bool{"ticket": true}, Hooks: shown.Info.Hooks,
	}, shown.Info)
	require.Regexp(t, `acme-crm +CRM +acme-crm +3 +1 +plugin acme-crm`, s.cli("template", "list"))
	require.Contains(t, s.cli("endpoint", "show", "acme/crm", "find"), "call.started")
	require.Contains(t, s.cli("endpoint", "render", "acme/crm", "add", "name=Bo"), `"code":"***"`, "a setting that is a secret is one in the template")
	require.Contains(t, s.cli("endpoint", "call", "acme/crm", "find", "call.number=0912345678"), "Ann")

	call := 0
	fire := func(event string) sentDoc {
		call++
		return s.fire(event, "acme/crm", "--call", fmt.Sprint(call), "--from", "+84912345678", "--to", "100", "--direction", "in", "--user", "agent_id=a-9", "--wait", "30s")
	}
	sent := fire("call.started")
	require.Equal(t, "true true true a-9", sent.Result.Answer.ID)
	require.JSONEq(t, `{"title":"Ann, calm","components":[{"type":"text","label":"Number","text":"+84912345678"}]}`, string(sent.Result.Answer.Iframe))
	require.Equal(t, "7", fire("call.connected").Result.Answer.ID, "the chain answers: there is no function")
	require.Regexp(t, `call.connected +savePreLogCRM +chain +find`, s.cli("hook", "list", "acme/crm"))

	for why, text := range map[string]string{
		"template.yaml:2:7: ": strings.Replace(crmTemplate+broughtInfo, "type: CRM", "type: ERP", 1),
		`acme/crm: info.options: there is no option "ticket"`: strings.Replace(crmTemplate+broughtInfo, "name: ticket", "name: tickets", 1),
	} {
		s.write("plugins/crm-folder/template.yaml", text)
		s.until(why, func() bool {
			return strings.Contains(s.cli("plugin", "list", "-o", "json"), strings.ReplaceAll(why, `"`, `\"`))
		})
		require.Equal(t, "true true true a-9", fire("call.started").Result.Answer.ID, "the one before goes on")
	}
	chooses("tickets")
	s.until("a choice that there is not is told with its place", func() bool {
		return strings.Contains(s.cli("status"), `the template has no option "tickets"`)
	})
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "plugins", "crm-folder")))
	s.until("its template goes with it", func() bool {
		var list struct{ Templates []json.RawMessage }
		s.doc(&list, "template", "list")
		return len(list.Templates) == 0
	})
	d.stop(t)
}
