package secret

import (
	"fmt"
	"log/slog"
)

// Redacted stands where a secret would be printed.
const Redacted = "***"

// Value is a secret. Whatever prints, formats or encodes it shows Redacted. The
// text stands behind a closure because reflection prints the unexported strings
// of a struct.
type Value struct{ reveal func() string }

// New returns a Value of s.
func New(s string) Value { return Value{reveal: func() string { return s }} }

// Reveal returns the text. The reason is for the reader of the code: each call
// says why it may see the secret. A zero Value reveals the empty string.
func (v Value) Reveal(reason string) string {
	if v.reveal == nil || reason == "" {
		return ""
	}
	return v.reveal()
}

// IsZero reports whether v was never given a text.
func (v Value) IsZero() bool { return v.reveal == nil }

// Format prints Redacted for every verb.
func (Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// String returns Redacted.
func (Value) String() string { return Redacted }

// GoString returns Redacted.
func (Value) GoString() string { return Redacted }

// MarshalJSON returns Redacted as a JSON string.
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText returns Redacted.
func (Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue returns Redacted.
func (Value) LogValue() slog.Value { return slog.StringValue(Redacted) }

var (
	_ fmt.Formatter  = Value{}
	_ slog.LogValuer = Value{}
)
