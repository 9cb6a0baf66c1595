package appconnect

import (
	"maps"
	"slices"
	"strings"
)

// The conditions of steps.
const (
	whenNumber  = `{{ call.number != nil }}` // an anonymous caller is nobody's
	whenNobody  = `{{ call.number != nil && call.contact == nil && len(context.found ?? []) == 0 }}`
	whenNoLog   = `{{ call.log.id == nil }}`
	whenLog     = `{{ call.log.id != nil }}`
	whenLogless = `{{ call.log.id == nil && call.number != nil && call.contact == nil && len(context.found ?? []) == 0 }}`
)

// hooked are the operations that events of calls do.
func hooked() []string {
	return []string{"findContact", "createContact", "createCallLog", "updateCallLog", "upsertCallDisposition", "createMessageLog"}
}

// events says which operations the events of calls do: a log is begun when people speak
// and completed at the end if the description can complete it, else made at the end.
func (c *converter) events(f *file, ops map[string]operation) {
	has := func(name string) bool { _, ok := ops[name]; return ok }
	f.Info.Hooks = map[string]hook{}
	if has("findContact") {
		f.Info.DataFunction = []step{{Name: "contacts", Endpoint: kebab("findContact"), When: whenNumber}}
	}
	if has("createCallLog") {
		c.logged(f, ops)
	}
	if has("createMessageLog") {
		f.Info.Hooks["createSMSNote"] = hook{Steps: append(again(ops, whenNobody), step{Name: "message", Endpoint: kebab("createMessageLog")})}
	}
	for i := range f.Endpoints {
		switch e := &f.Endpoints[i]; e.Name {
		case kebab("createContact"):
			e.Trigger = "contact.create"
			f.Iframe = contactForm()
		case kebab("updateCallLog"), kebab("upsertCallDisposition"): // what the agent says afterwards
			e.Trigger = "call.wrapup"
		}
	}
	var idle []string
	for _, name := range slices.Sorted(maps.Keys(ops)) {
		if !slices.Contains(hooked(), name) {
			idle = append(idle, name)
		}
	}
	if len(idle) > 0 {
		c.note("no event of a call does %s: they are there for jackfield endpoint call", strings.Join(idle, ", "))
	}
}

// logged says when the log of a call is made.
func (c *converter) logged(f *file, ops map[string]operation) {
	create := step{Name: "log", Endpoint: kebab("createCallLog"), When: whenNoLog}
	end := append(again(ops, whenLogless), create)
	if _, ok := ops["updateCallLog"]; !ok {
		c.note("there is no updateCallLog: the log is made at the end of a call, with what is known then; nothing after it gets there")
		f.Info.Hooks["saveLogCRM"] = hook{Steps: end}
		return
	}
	var lost []string
	for _, fact := range slices.Sorted(maps.Keys(c.facts["createCallLog"])) {
		if !c.facts["updateCallLog"][fact] {
			lost = append(lost, fact)
		}
	}
	if len(lost) > 0 {
		c.note("operations.updateCallLog does not tell %s: the log is made at the end of a call, and not begun when people speak", strings.Join(lost, ", "))
		f.Info.Hooks["saveLogCRM"] = hook{Steps: end}
		return
	}
	f.Info.Hooks["savePreLogCRM"] = hook{Steps: append(again(ops, whenLogless), create)}
	f.Info.Hooks["saveLogCRM"] = hook{Steps: append([]step{{Name: "completed", Endpoint: kebab("updateCallLog"), When: whenLog}}, end...)}
}

// again looks a caller up once more whom nobody knew when the call began: the contact may
// have been made meanwhile, or the remote system was away.
func again(ops map[string]operation, when string) []step {
	if _, ok := ops["findContact"]; !ok {
		return nil
	}
	return []step{{Name: "contacts", Endpoint: kebab("findContact"), When: when, Optional: true}}
}

// contactForm is a screen on which a contact can be made of a caller whom nobody knows.
func contactForm() map[string]any {
	return map[string]any{
		"title": `{{ len(context.found) == 1 ? context.found[0].name : len(context.found) == 0 ? "Unknown caller" : "Several contacts" }}`,
		"components": []any{map[string]any{
			"type": "form", "label": "New contact", "when": `{{ len(context.found) == 0 }}`, "action": "contact.create",
			"fields": []any{
				map[string]any{"name": "name", "label": "Name", "required": true},
				map[string]any{"name": "phone", "label": "Phone", "kind": "phone", "value": `{{ call.number }}`},
				map[string]any{"name": "type", "label": "Type"},
			},
		}},
	}
}
