//go:build unix

package main

import (
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
// goes on. Of a file and a plugin with templates of one name the one that came first keeps
// it. Integrations of a plugin that is gone wait for it.
//
// rows: G31, G32, G33, G34, G35
func TestAPluginBringsItsTemplateAlong(t *testing.T) {
	t.Parallel()
	s := functionSite(t, "dir")
	require.NoError(t, os.Remove(filepath.Join(s.dir, "templates", "acme.yaml")))
	tenant, err := os.ReadFile(filepath.Join(s.dir, "tenants", "acme.yaml"))
	require.NoError(t, err)
	line := string(tenant[strings.Index(string(tenant), "  - {"):])
	desk := strings.Replace(line, "name: crm, plugin: acme-crm,", "name: desk, plugin: desk, info: {options: {ticket: true}},", 1)
	chooses := func(name string) {
		s.write("tenants/acme.yaml", strings.Replace(string(tenant), "plugin: acme-crm,", "plugin: acme-crm, info: {options: {"+name+": true}},", 1)+desk)
	}
	chooses("ticket")
	s.unfold("crm-folder", broughtFolder())
	named := func(name string) string { return strings.Replace(crmTemplate, "name: acme-crm", "name: "+name, 1) }
	s.write("templates/desk.yaml", named("desk"))
	s.place("desk", s.named("desk", "desk"), 0o755)
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
	fireAt := func(integration, event string) sentDoc {
		call++
		return s.fire(event, integration, "--call", fmt.Sprint(call), "--from", "+84912345678", "--to", "100", "--direction", "in", "--user", "agent_id=a-9", "--wait", "30s")
	}
	fire := func(event string) sentDoc { return fireAt("acme/crm", event) }
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
	s.until("a plugin does not take the name of a file", func() bool {
		list := s.cli("plugin", "list", "-o", "json")
		return strings.Contains(list, `it brings the template \"desk\" along, and `) && strings.Contains(list, "templates/desk.yaml declares one of this name")
	})
	require.Equal(t, map[string]string{"acme-crm": "acme-crm", "desk": ""}, s.templates(), "the file's is served on")
	require.NoError(t, os.Remove(filepath.Join(s.dir, "templates", "desk.yaml")))
	s.until("the name is free", func() bool { return len(s.templates()) == 1 })
	s.place("desk", append(s.named("desk", "desk"), ' '), 0o755)
	s.until("a plugin of Go brings its own", func() bool { return s.templates()["desk"] == "desk" })
	require.Contains(t, s.cli("endpoint", "call", "acme/desk", "find", "call.number=0912345678"), "Ann")
	sent = fireAt("acme/desk", "call.started")
	require.Equal(t, "map[copy:true loud:false ticket:true] a-9", sent.Result.Answer.ID)
	require.Equal(t, "Ann", sent.Result.Answer.Contacts[0].Name, "its hook called the endpoint")

	s.write("templates/late.yaml", named("acme-crm"))
	s.until("a file does not take the name of a plugin", func() bool {
		told := s.cli("status")
		return strings.Contains(told, `template "acme-crm" is that of the plugin of this name`) && strings.Contains(told, "templates/late.yaml:1:7")
	})
	require.Equal(t, map[string]string{"acme-crm": "acme-crm", "desk": "desk"}, s.templates())
	require.Equal(t, "true true true a-9", fire("call.started").Result.Answer.ID, "the plugin's is served on")
	require.NoError(t, os.Remove(filepath.Join(s.dir, "templates", "late.yaml")))

	chooses("tickets")
	s.until("a choice that there is not is told with its place", func() bool {
		return strings.Contains(s.cli("status"), `the template has no option "tickets"`)
	})
	chooses("ticket")
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "plugins", "crm-folder")))
	s.until("its template goes with it", func() bool { return len(s.templates()) == 1 })
	s.until("its integration waits, and says for what", func() bool {
		shown := s.cli("integration", "show", "acme/crm")
		return strings.Contains(shown, "parked") && strings.Contains(shown, `plugin "acme-crm" is not loaded`)
	})
	s.unfold("crm-folder", broughtFolder())
	s.until("it goes on when the plugin is back", func() bool { return s.shown("acme/crm").State == "active" && len(s.templates()) == 2 })
	require.Equal(t, "true true true a-9", fire("call.started").Result.Answer.ID)
	d.stop(t)
}

// templates are those that are listed, each with the plugin that brings it along.
func (s *site) templates() map[string]string {
	s.t.Helper()
	var list struct {
		Templates []struct{ Name, Plugin string }
	}
	s.doc(&list, "template", "list")
	out := map[string]string{}
	for _, t := range list.Templates {
		out[t.Name] = t.Plugin
	}
	return out
}
