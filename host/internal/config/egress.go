package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/host/internal/address"
	"github.com/jackfield/jackfield/sdk"
)

// Network says how a plugin reaches remote systems.
type Network string

// The ways out.
const (
	NetworkProxy  Network = "proxy"  // through the host, which allows what it names
	NetworkDirect Network = "direct" // by itself, wherever it wants
)

// Egress says what is opened beyond the public Internet.
type Egress struct {
	Allow []string `json:"allow,omitempty"` // hosts and ranges, as address.ParseGrant reads them
}

// Grants returns what Allow says.
func (e Egress) Grants() []address.Grant {
	var out []address.Grant
	for _, text := range e.Allow {
		if g, err := address.ParseGrant(text); err == nil { // it was read so before
			out = append(out, g)
		}
	}
	return out
}

// NetworkOf returns how the plugin reaches remote systems.
func (d PluginDir) NetworkOf(plugin string) Network {
	if d.Network[plugin] == NetworkDirect {
		return NetworkDirect
	}
	return NetworkProxy
}

// egress reads egress: {allow: [HOST, HOST:PORT, RANGE]}.
func (l *loader) egress(o object) (out Egress) {
	p, ok := o.src.object(o.at("egress"), "egress", "allow")
	if !ok || !p.has("allow") {
		return out
	}
	list := deref(p.at("allow"))
	if list.Kind != yaml.SequenceNode {
		o.src.failAt(CodeBadType, p.at("allow"), "allow: [crm.internal:8443, 10.1.0.0/16]", "egress.allow: a list is needed, this is %s", kindOf(list))
		return out
	}
	for _, n := range list.Content {
		v := deref(n)
		if v.Kind != yaml.ScalarNode {
			o.src.failAt(CodeBadType, n, "", "egress.allow: a host or a range of addresses is needed, this is %s", kindOf(n))
			continue
		}
		if _, err := address.ParseGrant(v.Value); err != nil {
			text, help := cutHint(err.Error())
			o.src.failAt(CodeBadValue, n, help, "egress.allow: %s", text)
			continue
		}
		if slices.Contains(out.Allow, v.Value) {
			o.src.failAt(CodeDuplicateName, n, "", "egress.allow: %q stands in the list twice", v.Value)
			continue
		}
		out.Allow = append(out.Allow, v.Value)
	}
	return out
}

// cutHint takes the hint out of the text of an error.
func cutHint(text string) (rest, hint string) {
	rest, hint, _ = strings.Cut(text, " (hint: ")
	return rest, strings.TrimSuffix(hint, ")")
}

// network reads network: {NAME: direct}.
func (o object) network(key string) map[string]Network {
	if !o.has(key) {
		return nil
	}
	path := join(o.path, key)
	if deref(o.at(key)).Kind != yaml.MappingNode {
		o.src.failAt(CodeBadType, o.at(key), "network: {slack: direct}", "%s: a mapping is needed, this is %s", path, kindOf(o.at(key)))
		return nil
	}
	out := map[string]Network{}
	for _, p := range o.src.pairsOf(o.at(key), path) {
		if !sdk.ValidName(p.key.Value) {
			o.src.failAt(CodeBadName, p.key, nameHelp, "%s: %q is not a name", path, short(p.key.Value))
			continue
		}
		one := object{src: o.src, path: path, node: p.value, pairs: []pair{p}}
		out[p.key.Value] = Network(one.word(p.key.Value, string(NetworkProxy), string(NetworkProxy), string(NetworkDirect)))
	}
	return out
}
