package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/store"
)

func authKeys() []string {
	return []string{
		"type", "in", "name", "scheme", "value", "encode", "username", "password", "endpoint",
		"token_url", "authorize_url", "client_id", "client_secret", "client_auth", "scopes", "params", "pkce",
	}
}

func (l *loader) templateAuth(s *source, n *yaml.Node, path string) store.Auth {
	var a store.Auth
	o, ok := s.object(n, path, authKeys()...)
	if !ok {
		return a
	}
	o.need("type")
	a.Type = store.AuthType(o.word("type", "", store.AuthTypes()...))
	a.In = store.Place(o.word("in", "", string(store.InHeader), string(store.InQuery)))
	a.Encode = o.word("encode", "", "base64", "none")
	a.ClientAuth = o.word("client_auth", "", "basic", "body")
	for key, to := range map[string]*string{
		"name": &a.Name, "value": &a.Value, "username": &a.Username, "password": &a.Password, "endpoint": &a.Endpoint,
		"token_url": &a.TokenURL, "authorize_url": &a.AuthorizeURL, "client_id": &a.ClientID, "client_secret": &a.ClientSecret,
	} {
		*to, _ = o.text(key)
	}
	if scheme, ok := o.text("scheme"); ok {
		a.Scheme = &scheme
	}
	if list, ok := o.words("scopes"); ok {
		a.Scopes = list
	}
	a.Params = o.texts("params")
	a.NoPKCE = !o.boolean("pkce", true)
	o.authFits(a)
	return a
}

// authFits refuses keys that say nothing with the type.
func (o object) authFits(a store.Auth) {
	oauth := []string{"token_url", "client_id", "client_secret", "client_auth", "scopes", "params", "name", "scheme", "in"}
	allowed := map[store.AuthType][]string{
		store.AuthNone: {}, store.AuthAPIKey: {"in", "name", "value", "scheme"}, store.AuthBasic: {"username", "password"},
		store.AuthBearer: {"value", "scheme", "name"}, store.AuthCredential: {"name", "scheme", "value", "encode"},
		store.AuthToken: {"endpoint", "name", "scheme", "in"}, store.AuthClient: oauth, store.AuthCode: append([]string{"authorize_url", "pkce"}, oauth...),
	}[a.Type]
	if a.Type == "" {
		return
	}
	for _, key := range authKeys() {
		if key == "type" || !o.has(key) || slices.Contains(allowed, key) {
			continue
		}
		o.src.failAt(CodeNoEffect, o.pair(key).key, "with type: "+string(a.Type)+" there are "+orNone(allowed), "%s: it says nothing with type: %s", join(o.path, key), a.Type)
	}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "no other keys"
	}
	return strings.Join(list, ", ")
}

// words reads a list of texts.
func (o object) words(key string) (out []string, ok bool) {
	if !o.has(key) {
		return nil, false
	}
	list := deref(o.at(key))
	if list.Kind != yaml.SequenceNode {
		o.src.failAt(CodeBadType, o.at(key), "", "%s: a list is needed, this is %s", join(o.path, key), kindOf(list))
		return nil, false
	}
	for _, n := range list.Content {
		v := deref(n)
		if v.Kind != yaml.ScalarNode || v.Value == "" {
			o.src.failAt(CodeBadType, n, "", "%s: an entry is no text", join(o.path, key))
			continue
		}
		out = append(out, v.Value)
	}
	return out, true
}

func endpointKeys() []string {
	return []string{
		"name", "label", "type", "method", "url", "description", "trigger", "response", "hard_params", "parameters",
		"headers", "body", "encoding", "content_type", "forward", "timeout", "idempotent", "auth",
	}
}

func (l *loader) templateEndpoint(s *source, n *yaml.Node, path string) store.Endpoint {
	var e store.Endpoint
	o, ok := s.object(n, path, endpointKeys()...)
	if !ok {
		return e
	}
	o.need("name", "type", "url")
	e.Name, _ = o.name("name")
	e.Label, _ = o.text("label")
	e.Description, _ = o.text("description")
	e.Type = store.EndpointType(o.word("type", "", store.EndpointTypes()...))
	e.Method = o.word("method", methodOf(e.Type), store.Methods()...)
	e.URL, _ = o.text("url")
	e.Trigger = o.word("trigger", "", store.Triggers()...)
	e.Headers = o.texts("headers")
	e.Encoding = store.Encoding(o.word("encoding", string(store.EncodeJSON), string(store.EncodeJSON), string(store.EncodeForm), string(store.EncodeRaw)))
	e.ContentType, _ = o.text("content_type")
	e.Timeout = o.wait("timeout")
	e.Idempotent = o.boolean("idempotent", false)
	if o.has("body") {
		e.Body = o.json("body")
	}
	if o.has("forward") {
		forward := o.boolean("forward", false)
		e.Forward = &forward
	}
	if o.has("auth") {
		auth := l.templateAuth(s, o.at("auth"), join(path, "auth"))
		e.Auth = &auth
	}
	if o.has("response") {
		e.Response = l.templateResponse(s, o.at("response"), join(path, "response"))
	}
	o.each("hard_params", func(n *yaml.Node, at string) { e.Hard = append(e.Hard, l.hardParameter(s, n, at)) })
	if o.has("parameters") {
		e.Parameters = make([]store.EndpointParameter, 0, o.length("parameters"))
	}
	o.each("parameters", func(n *yaml.Node, at string) { e.Parameters = append(e.Parameters, l.endpointParameter(s, n, at)) })
	o.once("hard_params", len(e.Hard), func(i int) string { return string(e.Hard[i].In) + " " + e.Hard[i].Name })
	o.once("parameters", len(e.Parameters), func(i int) string {
		p := e.Parameters[i]
		return string(p.In) + " " + p.Name + " " + string(p.From)
	})
	return e
}

// methodOf is the method of an endpoint that does not say.
func methodOf(t store.EndpointType) string {
	if t == store.EndpointGetData {
		return "GET"
	}
	return "POST"
}

// once refuses a parameter that stands in the list twice, from the same source.
func (o object) once(key string, n int, id func(i int) string) {
	seen := make(map[string]bool, n)
	for i := range n {
		name := id(i)
		if seen[name] {
			at := deref(o.at(key)).Content[i]
			o.src.failAt(CodeDuplicateName, at, "", "%s[%d]: it stands in the list already", join(o.path, key), i)
		}
		seen[name] = true
	}
}

func (l *loader) hardParameter(s *source, n *yaml.Node, path string) store.HardParameter {
	var p store.HardParameter
	o, ok := s.object(n, path, "name", "in", "value")
	if !ok {
		return p
	}
	o.need("name", "in", "value")
	p.Name = o.shared("name")
	p.In = store.Place(o.word("in", "", store.Places()...))
	if o.has("value") {
		p.Value = s.tree(o.at("value"), join(path, "value"))
	}
	return p
}

func (l *loader) endpointParameter(s *source, n *yaml.Node, path string) store.EndpointParameter {
	var p store.EndpointParameter
	o, ok := s.object(n, path, "name", "in", "from", "key", "value", "required", "default", "format", "map")
	if !ok {
		return p
	}
	o.need("name", "in")
	p.Name = o.shared("name")
	p.In = store.Place(o.word("in", "", store.Places()...))
	p.From = store.Source(o.word("from", "", store.Sources()...))
	p.Key = o.shared("key")
	p.Value = o.shared("value")
	p.Required = o.boolean("required", false)
	p.Format = o.word("format", "", store.Formats()...)
	p.Map = o.shared("map")
	if o.has("default") {
		p.Default = s.tree(o.at("default"), join(path, "default"))
	}
	switch {
	case o.has("from") && o.has("value"):
		s.failAt(CodeBadValue, o.pair("value").key, "", "%s: a value and from exclude each other", join(path, "value"))
	case !o.has("from") && !o.has("value"):
		s.failAt(CodeMissingKey, n, "one of "+strings.Join(store.Sources(), ", "), "%s needs the key %q or %q", path, "from", "value")
	}
	return p
}

func (l *loader) templateResponse(s *source, n *yaml.Node, path string) store.Response {
	var r store.Response
	o, ok := s.object(n, path, "type", "token", "expires_in", "expires_at", "shape", "list", "item", "extra", "maps", "ok", "error", "fields")
	if !ok {
		return r
	}
	r.Type = o.word("type", "", "json", "text", "none")
	r.Shape = store.ItemShape(o.word("shape", "", store.ItemShapes()...))
	for key, to := range map[string]*string{
		"token": &r.Token, "expires_in": &r.ExpiresIn, "expires_at": &r.ExpiresAt, "list": &r.List, "ok": &r.OK, "error": &r.Error, "fields": &r.Fields,
	} {
		*to = o.shared(key)
	}
	r.Item = o.texts("item")
	r.Extra = o.texts("extra")
	r.Maps = o.texts("maps")
	return r
}
