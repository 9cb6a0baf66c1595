package appconnect

import "encoding/json"

// description is what is read of a proxy connector.
type description struct {
	Meta struct {
		Name        string `json:"name"`
		DisplayName string `json:"displayName"`
		Description string `json:"description"`
		LogFormat   string `json:"logFormat"`
	} `json:"meta"`
	Auth            *auth                `json:"auth"`
	RequestDefaults defaults             `json:"requestDefaults"`
	Operations      map[string]operation `json:"operations"`
}

type auth struct {
	Type               string  `json:"type"`
	Scheme             *string `json:"scheme"`
	HeaderName         string  `json:"headerName"`
	CredentialTemplate string  `json:"credentialTemplate"`
	Encode             string  `json:"encode"`
}

type defaults struct {
	BaseURL        string            `json:"baseUrl"`
	TimeoutSeconds float64           `json:"timeoutSeconds"`
	DefaultHeaders map[string]string `json:"defaultHeaders"`
}

type operation struct {
	Method          string                     `json:"method"`
	URL             string                     `json:"url"`
	Headers         map[string]string          `json:"headers"`
	Query           map[string]any             `json:"query"`
	Body            any                        `json:"body"`
	Auth            *auth                      `json:"auth"`
	ResponseMapping map[string]json.RawMessage `json:"responseMapping"`
}

// file is a template as it is written. The order is that of the file.
type file struct {
	Name        string      `yaml:"name"`
	Label       string      `yaml:"label,omitempty"`
	Type        string      `yaml:"type"`
	Description string      `yaml:"description,omitempty"`
	Parameters  []parameter `yaml:"parameters,omitempty"`
	Request     request     `yaml:"request,omitempty"`
	Auth        *authorized `yaml:"auth,omitempty"`
	Info        info        `yaml:"info,omitempty"`
	Iframe      any         `yaml:"iframe,omitempty"`
	Endpoints   []endpoint  `yaml:"endpoints"`
}

// info says what the events of calls do.
type info struct {
	DataFunction []step          `yaml:"dataFunction,omitempty"`
	Hooks        map[string]hook `yaml:"hooks,omitempty"`
}

type hook struct {
	Steps []step `yaml:"steps"`
}

type step struct {
	Name     string `yaml:"objectName"`
	Endpoint string `yaml:"endpoint"`
	When     string `yaml:"when,omitempty"`
	Optional bool   `yaml:"optional,omitempty"`
}

type parameter struct {
	Name     string `yaml:"name"`
	Label    string `yaml:"label,omitempty"`
	Required bool   `yaml:"required,omitempty"`
	Secret   bool   `yaml:"secret,omitempty"`
}

type request struct {
	BaseURL string            `yaml:"base_url,omitempty"`
	Timeout string            `yaml:"timeout,omitempty"`
	Headers map[string]string `yaml:"headers,omitempty"`
}

type authorized struct {
	Type   string  `yaml:"type"`
	Name   string  `yaml:"name,omitempty"`
	Scheme *string `yaml:"scheme,omitempty"`
	Value  string  `yaml:"value,omitempty"`
	Encode string  `yaml:"encode,omitempty"`
}

type endpoint struct {
	Name       string            `yaml:"name"`
	Type       string            `yaml:"type"`
	Method     string            `yaml:"method"`
	URL        string            `yaml:"url"`
	Trigger    string            `yaml:"trigger,omitempty"`
	Headers    map[string]string `yaml:"headers,omitempty"`
	Parameters []placed          `yaml:"parameters,omitempty"`
	Body       any               `yaml:"body,omitempty"`
	Forward    *bool             `yaml:"forward,omitempty"`
	Auth       *authorized       `yaml:"auth,omitempty"`
	Response   *response         `yaml:"response,omitempty"`
}

type placed struct {
	Name  string `yaml:"name"`
	In    string `yaml:"in"`
	Value string `yaml:"value"`
}

type response struct {
	Shape string            `yaml:"shape,omitempty"`
	List  string            `yaml:"list,omitempty"`
	Item  map[string]string `yaml:"item,omitempty"`
	Extra map[string]string `yaml:"extra,omitempty"`
	Error string            `yaml:"error,omitempty"`
}
