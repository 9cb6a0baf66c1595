package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
)

const redacted = "***"

// Secret is a value that prints as ***, whatever prints it. A settings struct
// uses it for tokens: it is read from JSON as a string. The value stands behind
// a closure because reflection prints the unexported strings of a struct.
type Secret struct{ reveal func() string }

// NewSecret returns a Secret of s.
func NewSecret(s string) Secret { return Secret{reveal: func() string { return s }} }

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Format prints *** for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// String returns ***.
func (Secret) String() string { return redacted }

// MarshalJSON returns "***".
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalJSON takes a JSON string. Its error does not repeat the value.
func (s *Secret) UnmarshalJSON(b []byte) error {
	var v string
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("a secret is a string")
	}
	*s = NewSecret(v)
	return nil
}

// Settings are an integration's settings, secrets included. Like a Secret they
// never print.
type Settings struct{ reveal func() []byte }

// NewSettings returns Settings of a JSON object.
func NewSettings(raw []byte) Settings { return Settings{reveal: func() []byte { return raw }} }

// Reveal returns the JSON object.
func (s Settings) Reveal() []byte {
	if s.reveal == nil {
		return []byte("{}")
	}
	return s.reveal()
}

// Decode reads the settings into a pointer to the plugin's settings struct. A
// key that the struct does not have is an error of ClassConfig.
func (s Settings) Decode(into any) error {
	dec := json.NewDecoder(bytes.NewReader(s.Reveal()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return &Error{Class: ClassConfig, Code: "bad_settings", Message: "settings: " + err.Error(), Cause: err}
	}
	return nil
}

// Format prints *** for every verb.
func (Settings) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// String returns ***.
func (Settings) String() string { return redacted }

// MarshalJSON returns "***".
func (Settings) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
