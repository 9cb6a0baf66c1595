package config

import (
	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// hookNames are the hooks that a template can have a chain for.
func hookNames() []string {
	return []string{
		sdk.HookGetDataIframe, sdk.HookSavePreLogCRM, sdk.HookSaveLogCRM, sdk.HookCreateSMSNote, sdk.HookCreateTicket, sdk.HookCreateContact,
		sdk.HookLookup,
	}
}

// templateInfo reads what a softphone does for a template: what it shows, what it
// reads, and the chains of its hooks.
func (l *loader) templateInfo(o object) store.TemplateInfo {
	var info store.TemplateInfo
	p, ok := o.src.object(o.at("info"), join(o.path, "info"), "renderTooltip", "listOptions", "userInfo", "dataFunction", "options", "hooks", "maps")
	if !ok {
		return info
	}
	p.each("renderTooltip", func(n *yaml.Node, path string) {
		e, ok := o.src.object(n, path, "path", "element")
		if ok {
			info.RenderTooltip = append(info.RenderTooltip, store.Tooltip{Path: e.needed("path"), Element: e.needed("element")})
		}
	})
	p.each("listOptions", func(n *yaml.Node, path string) {
		e, ok := o.src.object(n, path, "name", "label", "default")
		if ok {
			info.ListOptions = append(info.ListOptions, store.ListOption{Name: e.needed("name"), Label: e.needed("label"), Default: e.boolean("default", false)})
		}
	})
	p.unique("listOptions", len(info.ListOptions), func(i int) string { return info.ListOptions[i].Name })
	p.each("userInfo", func(n *yaml.Node, path string) {
		e, ok := o.src.object(n, path, "field", "path", "element")
		if ok {
			info.UserInfo = append(info.UserInfo, store.UserInfo{Field: e.needed("field"), Path: e.needed("path"), Element: e.needed("element")})
		}
	})
	p.unique("userInfo", len(info.UserInfo), func(i int) string { return info.UserInfo[i].Field })
	info.DataFunction = p.steps("dataFunction")
	info.Options = p.switches("options")
	info.Hooks = p.hooks("hooks")
	info.Maps = p.valueMaps("maps")
	if p.has("dataFunction") && len(info.Hooks[sdk.HookGetDataIframe].Steps) > 0 {
		o.src.failAt(CodeNoEffect, p.pair("dataFunction").key, "", "%s: hooks.%s has steps of its own", join(p.path, "dataFunction"), sdk.HookGetDataIframe)
	}
	return info
}

// needed reads a text that must not be empty.
func (o object) needed(key string) string {
	o.need(key)
	v, _ := o.text(key)
	if v == "" && o.has(key) {
		o.src.failAt(CodeBadValue, o.at(key), "", "%s: it is empty", join(o.path, key))
	}
	return v
}

// steps reads a chain.
func (o object) steps(key string) (out []store.DataFunction) {
	o.each(key, func(n *yaml.Node, path string) {
		e, ok := o.src.object(n, path, "objectName", "endpoint", "when", "foreach", "optional")
		if !ok {
			return
		}
		f := store.DataFunction{ObjectName: e.needed("objectName"), Endpoint: e.needed("endpoint"), Optional: e.boolean("optional", false)}
		f.When, _ = e.text("when")
		f.ForEach, _ = e.text("foreach")
		out = append(out, f)
	})
	return out
}

// hooks reads the chains of hooks.
func (o object) hooks(key string) map[string]store.HookChain {
	if !o.has(key) || empty(o.at(key)) {
		return nil
	}
	p, ok := o.src.object(o.at(key), join(o.path, key), hookNames()...)
	if !ok {
		return nil
	}
	out := map[string]store.HookChain{}
	for _, given := range p.sorted() {
		name := given.key.Value
		e, ok := o.src.object(given.value, join(p.path, name), "steps", "id", "url", "route", "reject", "deadline", "dedupe")
		if !ok {
			continue
		}
		c := store.HookChain{Steps: e.steps("steps")}
		if name == sdk.HookGetDataIframe {
			c.Deadline = e.lookup("deadline", 0)
		} else {
			c.Deadline = e.wait("deadline")
		}
		for key, to := range map[string]*string{"id": &c.ID, "url": &c.URL, "route": &c.Route, "reject": &c.Reject, "dedupe": &c.Dedupe} {
			*to, _ = e.text(key)
		}
		for _, key := range []string{"route", "reject"} {
			if e.has(key) && name != sdk.HookGetDataIframe {
				o.src.failAt(CodeNoEffect, e.pair(key).key, "hooks."+sdk.HookGetDataIframe, "%s: only a call that rings can be routed or refused", join(e.path, key))
			}
		}
		if e.has("dedupe") && name != sdk.HookCreateContact {
			o.src.failAt(CodeNoEffect, e.pair("dedupe").key, "hooks."+sdk.HookCreateContact, "%s: only contacts are made once of a number", join(e.path, "dedupe"))
		}
		out[name] = c
	}
	return out
}

// switches reads a mapping of true and false.
func (o object) switches(key string) map[string]bool {
	if !o.has(key) || empty(o.at(key)) {
		return nil
	}
	n := deref(o.at(key))
	if n.Kind != yaml.MappingNode {
		o.src.failAt(CodeBadType, o.at(key), "", "%s: a mapping is needed, this is %s", join(o.path, key), kindOf(n))
		return nil
	}
	out := map[string]bool{}
	p := object{src: o.src, path: join(o.path, key), node: n}
	for _, q := range o.src.pairsOf(n, p.path) {
		p.pairs = []pair{q}
		out[q.key.Value] = p.boolean(q.key.Value, false)
	}
	return out
}

// valueMaps reads what values are called elsewhere.
func (o object) valueMaps(key string) map[string]map[string]string {
	if !o.has(key) || empty(o.at(key)) {
		return nil
	}
	n := deref(o.at(key))
	if n.Kind != yaml.MappingNode {
		o.src.failAt(CodeBadType, o.at(key), "", "%s: a mapping is needed, this is %s", join(o.path, key), kindOf(n))
		return nil
	}
	out := map[string]map[string]string{}
	p := object{src: o.src, path: join(o.path, key), node: n}
	for _, q := range o.src.pairsOf(n, p.path) {
		p.pairs = []pair{q}
		out[q.key.Value] = p.texts(q.key.Value)
	}
	return out
}
