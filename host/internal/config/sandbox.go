package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Sandbox says what keeps plugins from what is not theirs.
type Sandbox struct {
	// Require is the least level of the sandbox at which a plugin is started: full,
	// partial or none.
	Require string `json:"require"`
	// RequireUser starts no plugin that cannot have a user of its own.
	RequireUser bool `json:"require_user"`
	// Trusted are plugins that run without it, as the daemon's user.
	Trusted []string `json:"trusted,omitempty"`
}

// The bounds of the memory that a plugin's process may have: a Go program needs some
// before it does anything.
const (
	leastMemory   = 128 << 20
	mostMemory    = 1 << 40
	defaultMemory = 1 << 30
)

// sandbox reads plugins: {sandbox: {require, require_user, trusted}}.
func (o object) sandbox(otherwise Sandbox) Sandbox {
	if !o.has("sandbox") {
		return otherwise
	}
	s, ok := o.src.object(o.at("sandbox"), join(o.path, "sandbox"), "require", "require_user", "trusted")
	if !ok {
		return otherwise
	}
	out := Sandbox{Require: s.word("require", otherwise.Require, "full", "partial", "none")}
	out.RequireUser = s.boolean("require_user", otherwise.RequireUser)
	out.Trusted, _ = s.names("trusted")
	return out
}

// memory reads a size such as 512MiB.
func (o object) memory(key string, otherwise uint64) uint64 {
	n, ok := o.scalar(key, "a size", "!!int", "!!str")
	if !ok {
		return otherwise
	}
	size, err := parseSize(n.Value)
	if err != nil || size < leastMemory || size > mostMemory {
		o.src.failAt(CodeBadValue, n, "such as 512MiB or 2GiB; at least 128MiB", "%s: %q is not such a size", join(o.path, key), short(n.Value))
		return otherwise
	}
	return size
}

// parseSize reads a whole number of bytes, KiB, MiB or GiB.
func parseSize(text string) (uint64, error) {
	number, shift := text, 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if rest, ok := strings.CutSuffix(text, unit); ok {
			number, shift = strings.TrimSpace(rest), 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(number, 10, 34) // so that no unit makes it too large
	if err != nil {
		return 0, fmt.Errorf("read size: %w", err)
	}
	return n << shift, nil
}

// Paths returns the strings in settings that the schema marks as paths of the file
// system, sorted: a plugin is to read what they name.
func Paths(schema, settings []byte) []string {
	var value any
	if err := json.Unmarshal(settings, &value); err != nil {
		return nil
	}
	var out []string
	walk(value, shapeOf(schema), func(v any, sh shape) any {
		if s, ok := v.(string); ok && sh.file && !sh.hidden && s != "" {
			out = append(out, s)
		}
		return v
	})
	slices.Sort(out)
	return slices.Compact(out)
}
