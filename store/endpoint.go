package store

import (
	"encoding/json"
	"time"
)

// EndpointType says what an endpoint does.
type EndpointType string

// The types of endpoints.
const (
	EndpointAuth     EndpointType = "Auth" // gets a token
	EndpointGetData  EndpointType = "GetData"
	EndpointPostData EndpointType = "PostData"
	EndpointSendSMS  EndpointType = "SendSMS" // of templates of type SMS alone
)

// EndpointTypes returns all types of endpoints.
func EndpointTypes() []string {
	return []string{string(EndpointAuth), string(EndpointGetData), string(EndpointPostData), string(EndpointSendSMS)}
}

// Methods returns the HTTP methods that an endpoint may have.
func Methods() []string { return []string{"GET", "POST", "PUT", "PATCH", "DELETE"} }

// Triggers returns the events that an endpoint may be called at.
func Triggers() []string {
	return []string{"call.started", "call.connected", "call.updated", "call.ended", "call.wrapup", "sms.sent", "ticket.create", "contact.create"}
}

// Encoding says how a body is written.
type Encoding string

// The encodings.
const (
	EncodeJSON Encoding = "json"
	EncodeForm Encoding = "form"
	EncodeRaw  Encoding = "raw"
)

// Endpoint is a named HTTP call of a template.
type Endpoint struct {
	Name        string       `json:"name"`
	Label       string       `json:"label,omitempty"`
	Type        EndpointType `json:"type"`
	Method      string       `json:"method"`
	URL         string       `json:"url"` // absolute, or relative to the template's base
	Description string       `json:"description,omitempty"`
	Trigger     string       `json:"trigger,omitempty"`
	Response    Response     `json:"response"`
	// Hard are constants, by place and name.
	Hard       []HardParameter     `json:"hard,omitempty"`
	Parameters []EndpointParameter `json:"parameters,omitempty"`
	Headers    map[string]string   `json:"headers,omitempty"`
	Body       json.RawMessage     `json:"body,omitempty"` // a tree whose strings may have expressions; for raw a string
	Encoding   Encoding            `json:"encoding,omitempty"`
	// ContentType is that of the body, if the encoding does not say enough.
	ContentType string `json:"content_type,omitempty"`
	// Forward sends what the client gives too; nil: if the endpoint declares no body.
	Forward *bool         `json:"forward,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`
	// Idempotent says that a call may be sent again although it may have arrived.
	Idempotent bool `json:"idempotent,omitempty"`
	// Auth is how this endpoint is authorized, if not as the template says.
	Auth *Auth `json:"auth,omitempty"`
}

// HardParameter is a constant of an endpoint.
type HardParameter struct {
	Name  string `json:"name"`
	In    Place  `json:"in"`
	Value any    `json:"value"`
}

// Source says where the value of a parameter comes from.
type Source string

// The sources, besides a value that the template gives.
const (
	FromToken   Source = "token"   // of the Auth endpoint or of OAuth
	FromField   Source = "field"   // of the integration
	FromCall    Source = "call"    // the call that is going on
	FromContext Source = "context" // what earlier endpoints of the chain answered
	FromBody    Source = "body"    // what the client gives
)

// Sources returns all sources.
func Sources() []string {
	return []string{string(FromField), string(FromToken), string(FromBody), string(FromCall), string(FromContext)}
}

// EndpointParameter is a value of a request. Of several with one name at one place
// the one whose source goes first counts: a value of the template, the token, a
// field, the call, the client.
type EndpointParameter struct {
	Name     string `json:"name"`
	In       Place  `json:"in"`
	From     Source `json:"from,omitempty"`
	Key      string `json:"key,omitempty"`   // a dotted path at the source, if it is not Name
	Value    string `json:"value,omitempty"` // instead of From: text with expressions
	Required bool   `json:"required,omitempty"`
	Default  any    `json:"default,omitempty"`
	Format   string `json:"format,omitempty"` // what is made of a phone number
	Map      string `json:"map,omitempty"`    // a map of the template that says what the value is called there
}

// Formats returns what can be made of a phone number.
func Formats() []string { return []string{"e164", "national", "digits", "extension"} }

// AuthType says how requests are authorized.
type AuthType string

// The types of authorization.
const (
	AuthNone       AuthType = "none"
	AuthAPIKey     AuthType = "api_key"
	AuthBasic      AuthType = "basic"
	AuthBearer     AuthType = "bearer"
	AuthCredential AuthType = "credential" // a header from a template, as base64 or as it is
	AuthToken      AuthType = "token"      // an Auth endpoint gets it
	AuthClient     AuthType = "oauth2_client"
	AuthCode       AuthType = "oauth2_code"
)

// AuthTypes returns all types of authorization.
func AuthTypes() []string {
	return []string{
		string(AuthNone), string(AuthAPIKey), string(AuthBasic), string(AuthBearer), string(AuthCredential),
		string(AuthToken), string(AuthClient), string(AuthCode),
	}
}

// Auth says how requests are authorized. Its texts may have expressions.
type Auth struct {
	Type     AuthType `json:"type,omitempty"`
	In       Place    `json:"in,omitempty"`     // of a key: header or query
	Name     string   `json:"name,omitempty"`   // of the header or query parameter; Authorization if empty
	Scheme   *string  `json:"scheme,omitempty"` // before the credential; nil: Bearer for a token, Basic for base64
	Value    string   `json:"value,omitempty"`  // the key, token or credential
	Encode   string   `json:"encode,omitempty"` // of a credential: base64 or none
	Username string   `json:"username,omitempty"`
	Password string   `json:"password,omitempty"`
	Endpoint string   `json:"endpoint,omitempty"` // of type Auth

	TokenURL     string            `json:"token_url,omitempty"`
	AuthorizeURL string            `json:"authorize_url,omitempty"`
	ClientID     string            `json:"client_id,omitempty"`
	ClientSecret string            `json:"client_secret,omitempty"`
	ClientAuth   string            `json:"client_auth,omitempty"` // basic or body
	Scopes       []string          `json:"scopes,omitempty"`
	Params       map[string]string `json:"params,omitempty"` // of the token request, besides
	NoPKCE       bool              `json:"no_pkce,omitempty"`
}

// HasToken reports whether requests need a token that is got first.
func (a Auth) HasToken() bool {
	return a.Type == AuthToken || a.Type == AuthClient || a.Type == AuthCode
}

// ItemShape is what answers are made into.
type ItemShape string

// The shapes.
const (
	ShapeContact ItemShape = "contact"
	ShapeCallLog ItemShape = "call_log"
	ShapeTicket  ItemShape = "ticket"
	ShapeMessage ItemShape = "message"
	ShapeList    ItemShape = "list" // of anything that has an id and a label
)

// ItemShapes returns all shapes.
func ItemShapes() []string {
	return []string{string(ShapeContact), string(ShapeCallLog), string(ShapeTicket), string(ShapeMessage), string(ShapeList)}
}

// Keys returns what an answer of the shape may have.
func (s ItemShape) Keys() []string {
	switch s {
	case ShapeContact:
		return []string{"id", "name", "first_name", "last_name", "company", "title", "phone", "email", "url", "kind", "created_at", "updated_at"}
	case ShapeCallLog:
		return []string{"id", "url", "status", "subject", "note", "contact_id"}
	case ShapeTicket:
		return []string{"id", "number", "url", "status", "subject", "contact_id"}
	case ShapeMessage:
		return []string{"id", "status", "url"}
	case ShapeList:
		return []string{"id", "label", "url", "description", "email"}
	}
	return nil
}

// Response says how an answer is read. Paths are dotted; a text with {{ }} is an
// expression instead.
type Response struct {
	Type      string            `json:"type,omitempty"`       // json, text or none; json if empty
	Token     string            `json:"token,omitempty"`      // of an Auth endpoint
	ExpiresIn string            `json:"expires_in,omitempty"` // seconds
	ExpiresAt string            `json:"expires_at,omitempty"` // a time, or seconds since 1970
	Shape     ItemShape         `json:"shape,omitempty"`
	List      string            `json:"list,omitempty"`   // where the list is; the answer is one item if empty
	Item      map[string]string `json:"item,omitempty"`   // the shape's keys
	Extra     map[string]string `json:"extra,omitempty"`  // besides them
	Maps      map[string]string `json:"maps,omitempty"`   // of the template's maps that which says what a key's value is called here
	OK        string            `json:"ok,omitempty"`     // an expression; false: an error although the status says success
	Error     string            `json:"error,omitempty"`  // where the reason of an error is
	Fields    string            `json:"fields,omitempty"` // where the errors of single fields are
}
