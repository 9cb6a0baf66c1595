package config

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/sdk"
)

// maxSettings is the cap of the settings of one integration as JSON. Under it
// they fit into one message to a plugin, with room for what the plugin keeps.
const maxSettings = 1 << 20

// settings reads one integration's settings into JSON values.
type settings struct {
	l      *loader
	s      *source
	plugin string
	path   string // of the settings in the file, for messages
	spots  map[string]pair
	ok     bool
}

// below returns a place inside another one.
func below(at []string, more ...string) []string { return slices.Concat(at, more) }

// spot is the key of a place in settings.spots.
func spot(location []string) string { return strings.Join(location, "\x00") }

// settings returns the settings as canonical JSON, checked against the manifest's
// schema if there is a manifest. ok is false if a problem was found.
func (l *loader) settings(o object, plugin string, m sdk.Manifest, known bool) (body []byte, ok bool) {
	r := &settings{l: l, s: o.src, plugin: plugin, path: join(o.path, "settings"), spots: map[string]pair{}, ok: true}
	var check *checker
	if known {
		var err error
		if check, err = l.checker(plugin, m.SettingsSchema); err != nil {
			o.src.failAt(CodeBadSchema, o.at("plugin"), "the plugin's author has to repair it", "plugin %q: its settings schema cannot be used", plugin)
			return nil, false
		}
	} else {
		check = &checker{}
	}
	var value any = map[string]any{}
	r.spots[""] = pair{key: o.node, value: o.node}
	if o.has("settings") {
		root := o.pair("settings")
		r.spots[""] = root
		if deref(root.value).Kind != yaml.MappingNode && !empty(root.value) {
			o.src.hide(root.value)
			o.src.failAt(CodeBadType, root.value, "", "%s: a mapping is needed, this is %s", r.path, kindOf(root.value))
			return nil, false
		}
		if !empty(root.value) {
			value = r.value(root.value, nil, check.shape)
		}
	}
	if r.ok && check.schema != nil {
		r.validate(check, value)
	}
	if !r.ok {
		return nil, false
	}
	body, err := json.Marshal(value)
	if err != nil || len(body) > maxSettings {
		o.src.failAt(CodeTooLarge, o.at("settings"), "", "%s: the settings are larger than 1 MiB", r.path)
		return nil, false
	}
	return body, true
}

func empty(n *yaml.Node) bool { return deref(n).ShortTag() == "!!null" }

// value converts a node, and hides what may be a secret.
func (r *settings) value(n *yaml.Node, at []string, sh shape) any {
	n = deref(n)
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		before := len(r.s.problems)
		for _, p := range r.s.pairsOf(n, r.name(at)) {
			where := below(at, p.key.Value)
			r.spots[spot(where)] = p
			out[p.key.Value] = r.value(p.value, where, sh.child(p.key.Value))
		}
		r.ok = r.ok && len(r.s.problems) == before || r.ok && !r.s.problems[before:].Failed()
		return out
	case yaml.SequenceNode:
		out := []any{}
		for i, item := range n.Content {
			where := below(at, strconv.Itoa(i))
			r.spots[spot(where)] = pair{key: item, value: item}
			out = append(out, r.value(item, where, sh.item(i)))
		}
		return out
	default:
		return r.scalar(n, at, sh)
	}
}

func (r *settings) scalar(n *yaml.Node, at []string, sh shape) any {
	if sh.secret() && !onlyReference().MatchString(n.Value) {
		r.s.hide(n)
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		return r.number(n, at)
	case "!!str", "!!timestamp":
		return r.text(n, at, sh)
	default:
		r.fail(CodeBadType, n, "", "%s: YAML tags are not supported", r.name(at))
		return nil
	}
}

func onlyReference() *regexp.Regexp {
	return regexp.MustCompile(`^\$\{(env|file):[^}]*\}$`)
}

// text expands references. Values that came by reference, and those of secret
// settings, are kept out of logs from now on; the place of a file is no secret.
func (r *settings) text(n *yaml.Node, at []string, sh shape) any {
	v, referred, ok := r.l.expand(r.s, n, r.name(at))
	if !ok {
		r.ok = false
		return v
	}
	if sh.file && !sh.hidden {
		if v != "" && !filepath.IsAbs(v) {
			v = filepath.Join(r.s.dir, v)
		}
		return v
	}
	r.l.secrets = append(r.l.secrets, referred...)
	if sh.hidden {
		r.l.secrets = append(r.l.secrets, v)
	}
	return v
}

// number converts a number without changing it: a long id keeps all its digits.
func (r *settings) number(n *yaml.Node, at []string) any {
	digits := strings.TrimLeft(n.Value, "+-")
	if len(digits) > 1 && digits[0] == '0' && strings.Trim(digits, "0123456789_") == "" {
		r.fail(CodeAmbiguousNumber, n, "put it in quotes", "%s: a number with a leading zero is read as octal", r.name(at))
		return nil
	}
	if len(digits) <= 40 && digits != "" && strings.Trim(digits, "0123456789") == "" {
		return json.Number(strings.TrimPrefix(n.Value, "+"))
	}
	if i, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
		return json.Number(strconv.FormatInt(i, 10))
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		r.fail(CodeBadValue, n, "put it in quotes if it is text", "%s: not a number that JSON can hold", r.name(at))
		return nil
	}
	return f
}

func (r *settings) fail(code string, n *yaml.Node, help, format string, args ...any) {
	r.ok = false
	r.s.failAt(code, n, help, format, args...)
}

// name returns the place of a setting in the file, for messages.
func (r *settings) name(at []string) string {
	return r.path + dotted(at, ".")
}

// dotted returns a place as people write it: .a.b[0].
func dotted(at []string, first string) string {
	var b strings.Builder
	for i, part := range at {
		switch _, err := strconv.Atoi(part); {
		case err == nil && i > 0:
			fmt.Fprintf(&b, "[%s]", part)
		case i == 0:
			b.WriteString(first + short(part))
		default:
			b.WriteString("." + short(part))
		}
	}
	return b.String()
}
