package store

import (
	"encoding/json"
	"slices"
	"time"
)

// TemplateType says what a template is for.
type TemplateType string

// The types of templates.
const (
	TemplateCRM TemplateType = "CRM"
	TemplateSMS TemplateType = "SMS"
)

// TemplateTypes returns all types of templates.
func TemplateTypes() []string { return []string{string(TemplateCRM), string(TemplateSMS)} }

// Template is an integration type that is declared and has no code: what an
// integration of it has to give, and the calls that it can make.
type Template struct {
	Name        string       `json:"name"`
	Label       string       `json:"label"`
	Type        TemplateType `json:"type"`
	Description string       `json:"description,omitempty"`
	// Region is the ISO 3166 code of the country that numbers without a country code
	// are of.
	Region     string              `json:"region,omitempty"`
	Info       TemplateInfo        `json:"info"`
	Iframe     json.RawMessage     `json:"iframe,omitempty"` // the screen: a JSON object
	Parameters []TemplateParameter `json:"parameters,omitempty"`
	Request    RequestDefaults     `json:"request"`
	Auth       Auth                `json:"auth"`
	Endpoints  []Endpoint          `json:"endpoints"`
	File       string              `json:"-"` // that declares it
	Plugin     string              `json:"-"` // whose manifest brings it along, instead of a file
	// Sum tells whether the declaration changed.
	Sum []byte `json:"-"`
}

// Endpoint returns the endpoint of that name.
func (t Template) Endpoint(name string) (Endpoint, bool) {
	i := slices.IndexFunc(t.Endpoints, func(e Endpoint) bool { return e.Name == name })
	if i < 0 {
		return Endpoint{}, false
	}
	return t.Endpoints[i], true
}

// EndpointNames returns the names of the endpoints in their order.
func (t Template) EndpointNames() []string {
	names := make([]string, len(t.Endpoints))
	for i, e := range t.Endpoints {
		names[i] = e.Name
	}
	return names
}

// Parameter returns the parameter of that name.
func (t Template) Parameter(name string) (TemplateParameter, bool) {
	i := slices.IndexFunc(t.Parameters, func(p TemplateParameter) bool { return p.Name == name })
	if i < 0 {
		return TemplateParameter{}, false
	}
	return t.Parameters[i], true
}

// Secrets returns the names of the parameters that hold secrets.
func (t Template) Secrets() map[string]bool {
	out := map[string]bool{}
	for _, p := range t.Parameters {
		if p.Secret {
			out[p.Name] = true
		}
	}
	return out
}

// TemplateParameter is one field that an integration of the template gives. With
// In it goes with every request, at that place; without, only where an endpoint
// asks for it.
type TemplateParameter struct {
	Name        string `json:"name"`
	Label       string `json:"label,omitempty"`
	Description string `json:"description,omitempty"`
	In          Place  `json:"in,omitempty"`
	As          string `json:"as,omitempty"` // its name at that place, if it is another one
	Required    bool   `json:"required,omitempty"`
	Secret      bool   `json:"secret,omitempty"`
	Default     string `json:"default,omitempty"`
}

// Place says where in a request a value goes.
type Place string

// The places.
const (
	InHeader Place = "header"
	InQuery  Place = "query"
	InPath   Place = "path" // in the place of {name} in the URL
	InBody   Place = "body" // at a dotted path
	InMD5    Place = "md5"  // a header with the MD5 of the value in hex, as old systems ask for
)

// Places returns all places.
func Places() []string {
	return []string{string(InHeader), string(InQuery), string(InPath), string(InBody), string(InMD5)}
}

// TemplateInfo is what the page of a softphone does for the template.
type TemplateInfo struct {
	RenderTooltip []Tooltip      `json:"renderTooltip,omitempty"`
	ListOptions   []ListOption   `json:"listOptions,omitempty"`
	UserInfo      []UserInfo     `json:"userInfo,omitempty"`
	DataFunction  []DataFunction `json:"dataFunction,omitempty"`
	// Options are the choices that an integration makes, by name of a ListOption.
	Options map[string]bool `json:"options,omitempty"`
	// Hooks are the chains of hooks, by name. That of getDataIframe has the steps of
	// DataFunction if it has none of its own.
	Hooks map[string]HookChain `json:"hooks,omitempty"`
	// Maps say what values are called elsewhere, by name of the map. The value of * is
	// that of all others.
	Maps map[string]map[string]string `json:"maps,omitempty"`
}

// Tooltip puts a call button at an element of the pages whose address contains
// Path.
type Tooltip struct {
	Path    string `json:"path"`
	Element string `json:"element"` // a CSS selector
}

// ListOption is a choice that people have in the settings of the softphone.
type ListOption struct {
	Name    string `json:"name"`
	Label   string `json:"label"`
	Default bool   `json:"default,omitempty"`
}

// UserInfo reads a value from a page of the CRM.
type UserInfo struct {
	Field   string `json:"field"`
	Path    string `json:"path"`
	Element string `json:"element"`
}

// DataFunction is one step of a chain: what the endpoint answers is kept under
// ObjectName.
type DataFunction struct {
	ObjectName string `json:"objectName"`
	Endpoint   string `json:"endpoint"`
	When       string `json:"when,omitempty"`     // an expression; the step is left out if it is false
	ForEach    string `json:"foreach,omitempty"`  // an expression; the step is done for each of a list, as item
	Optional   bool   `json:"optional,omitempty"` // the chain goes on if it fails
}

// HookChain is what a hook does and answers. Its texts may have expressions.
type HookChain struct {
	Steps    []DataFunction `json:"steps,omitempty"`
	ID       string         `json:"id,omitempty"`     // of what was made; that of the last answer with a shape if empty
	URL      string         `json:"url,omitempty"`    // likewise
	Route    string         `json:"route,omitempty"`  // where a call that rings goes
	Reject   string         `json:"reject,omitempty"` // why a call that rings is refused
	Deadline time.Duration  `json:"deadline,omitempty"`
	// Dedupe is the field of a contact's form that has its number: a number makes one
	// contact.
	Dedupe string `json:"dedupe,omitempty"`
}

// Chain returns the chain of a hook.
func (i TemplateInfo) Chain(hook string) HookChain {
	c := i.Hooks[hook]
	if hook == "getDataIframe" && len(c.Steps) == 0 {
		c.Steps = i.DataFunction
	}
	return c
}

// Chosen returns the choices that people have, as they are made.
func (i TemplateInfo) Chosen() map[string]bool {
	out := make(map[string]bool, len(i.ListOptions))
	for _, o := range i.ListOptions {
		out[o.Name] = o.Default
		if said, ok := i.Options[o.Name]; ok {
			out[o.Name] = said
		}
	}
	return out
}

// With returns the template as an integration has it that says some of its info or
// its screen otherwise, key by key.
func (t Template) With(info, iframe json.RawMessage) (Template, error) {
	if len(info) > 0 {
		own := t.Info
		if err := json.Unmarshal(info, &replaced{&own}); err != nil {
			return t, err
		}
		t.Info = own
	}
	if len(iframe) > 0 {
		both := map[string]json.RawMessage{}
		for _, raw := range []json.RawMessage{t.Iframe, iframe} {
			if len(raw) == 0 {
				continue
			}
			if err := json.Unmarshal(raw, &both); err != nil {
				return t, err
			}
		}
		raw, err := json.Marshal(both)
		if err != nil {
			return t, err
		}
		t.Iframe = raw
	}
	return t, nil
}

// replaced decodes the keys of an info that are there, each as a whole.
type replaced struct{ info *TemplateInfo }

// UnmarshalJSON implements json.Unmarshaler.
func (r *replaced) UnmarshalJSON(raw []byte) error {
	var has map[string]json.RawMessage
	if err := json.Unmarshal(raw, &has); err != nil {
		return err
	}
	for key, clear := range map[string]func(){
		"renderTooltip": func() { r.info.RenderTooltip = nil }, "listOptions": func() { r.info.ListOptions = nil },
		"userInfo": func() { r.info.UserInfo = nil }, "dataFunction": func() { r.info.DataFunction = nil },
		"options": func() { r.info.Options = nil }, "hooks": func() { r.info.Hooks = nil }, "maps": func() { r.info.Maps = nil },
	} {
		if _, ok := has[key]; ok {
			clear() // decoding into what there is would mix both, and change the template's own
		}
	}
	return json.Unmarshal(raw, r.info)
}

// RequestDefaults are what the requests of all endpoints have in common.
type RequestDefaults struct {
	BaseURL string            `json:"base_url,omitempty"` // that relative addresses follow; https://HOST of the integration if empty
	Timeout time.Duration     `json:"timeout,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Query   map[string]string `json:"query,omitempty"`
	// MaxConcurrent bounds the requests of an integration to one remote host that are
	// under way at once; 0: the host's default.
	MaxConcurrent int `json:"max_concurrent,omitempty"`
}

// StoredTemplate is a template as a store keeps it.
type StoredTemplate struct {
	Template
	CreatedAt time.Time
	UpdatedAt time.Time
}
