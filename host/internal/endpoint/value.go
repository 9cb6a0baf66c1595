package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// masked stands for a secret where a request is shown.
const masked = "***"

// stringOf returns a value as text: what is no scalar as JSON.
func stringOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number:
		return v.String()
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case int, int64, uint64, int32, uint32, float32:
		return fmt.Sprint(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// maxValues bounds the values of JSON: each takes many times the room that it has in the
// text.
const maxValues = 200_000

// errTooWide says that JSON has more values than that.
var errTooWide = errors.New("more than 200,000 values")

// wide reports whether JSON may have more than most values. It only counts: most of what
// is read is small, and is not looked at.
func wide(raw []byte, most int) bool {
	if len(raw) <= most {
		return false
	}
	n, text := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case !text && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n > most
}

// Decode reads JSON into values that expressions can count with: whole numbers are
// int, and one with too many digits for that is a text, so that no id loses any.
func Decode(raw []byte) (any, error) {
	if wide(raw, maxValues) {
		return nil, errTooWide
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return counted(v), nil
}

// counted replaces the numbers in v, in place where it can.
func counted(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, sub := range v {
			v[name] = counted(sub)
		}
	case []any:
		for i := range v {
			v[i] = counted(v[i])
		}
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil || !strings.ContainsAny(v.String(), ".eE") {
			return v.String()
		}
		return f
	}
	return v
}

// present reports whether v is a value: neither nothing nor an empty text.
func present(v any) bool { return v != nil && v != "" }
