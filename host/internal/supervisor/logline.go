package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
)

// Line is one line of a plugin's log.
type Line struct {
	Time    time.Time // when the host read it
	Level   string    // trace, debug, info, warn or error
	Message string
	Fields  map[string]string // such as tenant, integration, run and stream
	Version string            // of the plugin
	PID     int               // of its process
}

// What a line may bring along.
const (
	maxFields = 32
	maxKey    = 64
	maxValue  = 4 << 10
)

// parseLine reads what a plugin wrote to stderr: an hclog line in JSON, or any
// text. It takes nothing for granted: a plugin may write what it likes. Of a
// line that was cut it saves the level and the beginning of the message.
func parseLine(raw []byte, cut int) (level hclog.Level, message string, fields map[string]string) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		return plainLine(string(raw), cut)
	}
	if cut > 0 {
		return cutLine(raw, cut)
	}
	var entry map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&entry); err != nil || dec.More() {
		return plainLine(string(raw), 0)
	}
	message, ok := entry["@message"].(string)
	if !ok {
		return plainLine(string(raw), 0) // JSON of somebody else
	}
	name, _ := entry["@level"].(string)
	level = hclog.LevelFromString(name)
	if level == hclog.NoLevel || level == hclog.Off {
		level = hclog.Info
	}
	for key, value := range entry {
		if strings.HasPrefix(key, "@") && key != "@module" && key != "@caller" {
			continue
		}
		if len(fields) == maxFields {
			break
		}
		if fields == nil {
			fields = make(map[string]string, min(len(entry), maxFields))
		}
		fields[clean(strings.TrimPrefix(key, "@"), maxKey)] = fieldText(value)
	}
	return level, clean(message, maxLine), fields
}

func fieldText(value any) string {
	switch v := value.(type) {
	case string:
		return clean(v, maxValue)
	case json.Number:
		return clean(v.String(), maxValue)
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return "null"
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		return clean(string(text), maxValue)
	}
}

// plainLine guesses the level of a text from how it begins.
func plainLine(text string, cut int) (hclog.Level, string, map[string]string) {
	level := hclog.Debug
	for prefix, l := range map[string]hclog.Level{"[TRACE]": hclog.Trace, "[INFO]": hclog.Info, "[WARN]": hclog.Warn, "[ERROR]": hclog.Error} {
		if strings.HasPrefix(text, prefix) {
			level = l
		}
	}
	return level, clean(text, maxLine) + cutNote(cut), nil
}

// cutLine finds level and message of a JSON line that has no end. Both stand
// near the beginning: encoders sort their keys.
func cutLine(raw []byte, cut int) (hclog.Level, string, map[string]string) {
	level := hclog.Info
	if _, rest, ok := bytes.Cut(raw, []byte(`"@level":`)); ok {
		name, _, _ := bytes.Cut(bytes.TrimLeft(rest, ` "`), []byte(`"`))
		if l := hclog.LevelFromString(string(name[:min(len(name), 8)])); l != hclog.NoLevel && l != hclog.Off {
			level = l
		}
	}
	text := raw
	if _, rest, ok := bytes.Cut(raw, []byte(`"@message":`)); ok {
		text = bytes.TrimLeft(rest, ` "`)
	}
	return level, clean(string(text), maxLine) + cutNote(cut), nil
}

func cutNote(cut int) string {
	if cut == 0 {
		return ""
	}
	return fmt.Sprintf(" ... (%d bytes cut)", cut)
}

// clean makes text fit for a log: one line of valid UTF-8 without control
// characters, at most limit bytes.
func clean(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
		for len(text) > 0 && !utf8.RuneStart(text[len(text)-1]) {
			text = text[:len(text)-1]
		}
		if r, size := utf8.DecodeLastRuneInString(text); r == utf8.RuneError && size == 1 {
			text = text[:len(text)-1]
		}
	}
	plain := func(r rune) bool { return r != utf8.RuneError && (unicode.IsPrint(r) || r == '\t') }
	if strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case plain(r):
			return r
		case r == '\n' || r == '\r':
			return ' '
		case unicode.IsSpace(r):
			return ' '
		default:
			return '\ufffd'
		}
	}, text)
}
