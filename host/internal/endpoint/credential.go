package endpoint

import (
	"cmp"
	"encoding/base64"
	"strings"

	"github.com/jackfield/jackfield/host/internal/nearest"
	"github.com/jackfield/jackfield/store"
)

// credential is a compiled authorization: where it goes and what it is.
type credential struct {
	kind   store.AuthType
	in     store.Place
	name   string
	scheme string
	encode bool // as base64
	parts  []text
	token  bool // it is the token
	oauth  *oauth
}

// oauth is what is needed to get a token.
type oauth struct {
	tokenURL, authorizeURL, id, secret text
	inBody                             bool
	scopes                             []string
	params                             []named
	pkce                               bool
}

// credential compiles an authorization.
func (b *builder) credential(path string, a store.Auth) *credential {
	c := &credential{kind: a.Type, in: store.InHeader, name: "Authorization"}
	need := func(key, value string) text {
		if value == "" {
			b.fault(path, "", "%s needs the key %q", path, key)
		}
		return b.text(path+"."+key, value, &b.request)
	}
	scheme := ""
	switch a.Type {
	case "", store.AuthNone:
		return &credential{}
	case store.AuthAPIKey:
		if a.Name == "" {
			b.fault(path, "such as name: X-Api-Key", "%s needs the key \"name\"", path)
		}
		c.parts = []text{need("value", a.Value)}
	case store.AuthBasic:
		scheme, c.encode = "Basic", true
		c.parts = []text{need("username", a.Username), {parts: []part{{literal: ":"}}}, b.text(path+".password", a.Password, &b.request)}
	case store.AuthBearer:
		scheme = "Bearer"
		c.parts = []text{need("value", a.Value)}
	case store.AuthCredential:
		c.encode = a.Encode == "" || a.Encode == "base64"
		if c.encode {
			scheme = "Basic"
		}
		c.parts = []text{need("value", a.Value)}
	case store.AuthToken:
		scheme, c.token = "Bearer", true
		b.authEndpoint(path, a)
	default:
		scheme, c.token = "Bearer", true
		c.oauth = b.oauth(path, a, need)
	}
	c.in, c.name, c.scheme = cmp.Or(a.In, c.in), cmp.Or(a.Name, c.name), scheme
	if a.Scheme != nil {
		c.scheme = *a.Scheme
	}
	if c.in == store.InHeader {
		b.headerName(path+".name", c.name)
		b.headerValue(path+".scheme", c.scheme)
		for _, x := range c.parts {
			if !c.encode {
				b.headerTexts(path+".value", x)
			}
		}
	}
	return c
}

// authEndpoint checks the endpoint that gets the token.
func (b *builder) authEndpoint(path string, a store.Auth) {
	if a.Endpoint == "" {
		b.fault(path, "the name of an endpoint of type Auth", "%s needs the key \"endpoint\"", path)
		return
	}
	e, ok := b.spec.Endpoint(a.Endpoint)
	switch {
	case !ok:
		b.fault(path+".endpoint", nearest.Advice(a.Endpoint, b.spec.EndpointNames()), "%s.endpoint: the template has no endpoint %q", path, a.Endpoint)
	case e.Type != store.EndpointAuth:
		b.fault(path+".endpoint", "type: Auth", "%s.endpoint: the endpoint %q is of type %s", path, a.Endpoint, e.Type)
	}
}

func (b *builder) oauth(path string, a store.Auth, need func(key, value string) text) *oauth {
	o := &oauth{
		tokenURL: need("token_url", a.TokenURL), id: need("client_id", a.ClientID), secret: b.text(path+".client_secret", a.ClientSecret, &b.request),
		scopes: a.Scopes, inBody: a.ClientAuth == "body", pkce: !a.NoPKCE, params: b.named(path+".params", a.Params),
	}
	b.remote(path+".token_url", a.TokenURL)
	if a.Type == store.AuthCode {
		o.authorizeURL = need("authorize_url", a.AuthorizeURL)
		b.remote(path+".authorize_url", a.AuthorizeURL)
	} else if a.ClientSecret == "" {
		b.fault(path, "", "%s needs the key \"client_secret\"", path)
	}
	return o
}

// remote refuses an address of OAuth that is none.
func (b *builder) remote(path, source string) {
	if source == "" {
		return
	}
	if a := b.address(path, source); a.scheme == "" {
		b.fault(path, "https://", "%s: a whole address is needed", path)
	}
}

// apply puts the credential into a request. One that the endpoint places itself is
// left alone, and what a client gives is replaced.
func (c *credential) apply(r *draft, groups []group) error {
	if c.kind == "" || c.token && usesToken(groups) {
		return nil
	}
	for _, g := range groups {
		if groupKey(g.in, g.name) == groupKey(c.in, c.name) && g.own() {
			return nil
		}
	}
	v, err := c.value(r.scope)
	if err != nil {
		return err
	}
	if c.in == store.InQuery {
		r.replaceQuery(c.name, v)
		return nil
	}
	return r.setHeader(c.name, v, strings.TrimSpace(c.scheme+" "+masked))
}

// value returns what stands in the header or parameter.
func (c *credential) value(s scope) (string, error) {
	if c.token {
		token, _ := s["token"].(string)
		if token == "" {
			return "", &Error{Class: classAuth, Code: codeNoToken, Message: "there is no token", Outcome: OutcomeNotSent}
		}
		return strings.TrimSpace(c.scheme + " " + token), nil
	}
	out := ""
	for _, x := range c.parts {
		v, missing, err := x.render(s, asIs)
		if err != nil {
			return "", err
		}
		if missing != "" {
			return "", &Error{Class: classConfig, Code: codeMissing, Outcome: OutcomeNotSent, Missing: []string{missing}, Message: "the authorization needs {{ " + missing + " }}"}
		}
		out += v.real
	}
	if c.encode {
		out = base64.StdEncoding.EncodeToString([]byte(out))
	}
	return strings.TrimSpace(c.scheme + " " + out), nil
}

// usesToken reports whether a parameter says where the token goes.
func usesToken(groups []group) bool {
	for _, g := range groups {
		for _, s := range g.sources {
			if s.expr != nil && s.expr.token || s.text != nil && s.text.token() {
				return true
			}
		}
	}
	return false
}

// token reports whether the token goes into the text.
func (x text) token() bool {
	for _, p := range x.parts {
		if p.expr != nil && p.expr.token {
			return true
		}
	}
	return false
}

// needsToken reports whether a request of the endpoint needs the token.
func (c *call) needsToken() bool {
	if c.spec.Type == store.EndpointAuth {
		return false
	}
	uses := c.auth.token || usesToken(c.groups)
	for _, h := range c.headers {
		uses = uses || h.text.token()
	}
	for _, ch := range append(append([]chunk{}, c.url.path...), c.url.query...) {
		uses = uses || ch.expr != nil && ch.expr.token
	}
	return uses || c.body != nil && c.body.token()
}

func (n *node) token() bool {
	if n.text != nil && n.text.token() {
		return true
	}
	for _, sub := range n.object {
		if sub.token() {
			return true
		}
	}
	for _, sub := range n.list {
		if sub.token() {
			return true
		}
	}
	return false
}
