package config

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/sdk"
)

// IdleOf returns after how long the plugin is stopped if nothing calls it; 0: never.
func (d PluginDir) IdleOf(plugin string) time.Duration {
	if after, ok := d.Idles[plugin]; ok {
		return after
	}
	return d.Idle
}

// named reports a key of plugins that is the name of one: what is said of it alone is a
// mapping, and every other value of a key that is not known is a mistake.
func named(p pair) bool { return sdk.ValidName(p.key.Value) && deref(p.value).Kind == yaml.MappingNode }

// ofEach reads what plugins says of some of them: slack: {idle: 1h, isolation: tenant}.
func (o object) ofEach(out *PluginDir) {
	for _, p := range o.sorted() {
		name := p.key.Value
		if !named(p) || slices.Contains([]string{"network", "sandbox"}, name) {
			continue
		}
		one, ok := o.src.object(p.value, join(o.path, name), "idle", "isolation")
		if !ok {
			continue
		}
		if one.has("idle") {
			if out.Idles == nil {
				out.Idles = map[string]time.Duration{}
			}
			out.Idles[name] = one.idle(0)
		}
		if one.has("isolation") {
			if out.Isolation == nil {
				out.Isolation = map[string]Isolation{}
			}
			out.Isolation[name] = Isolation(one.word("isolation", string(IsolationProcess), string(IsolationProcess), string(IsolationTenant)))
		}
	}
}

// idle reads after how long a plugin that nothing calls is stopped.
func (o object) idle(otherwise time.Duration) time.Duration {
	const key, least, most = "idle", time.Second, 30 * 24 * time.Hour
	n, ok := o.scalar(key, "a time", "!!str", "!!int")
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(n.Value)
	if err != nil || d != 0 && (d < least || d > most) {
		o.src.failAt(CodeBadValue, n, "such as 10m; at least 1s; 0 is never", "%s: %q is not such a time", join(o.path, key), short(n.Value))
		return otherwise
	}
	return d
}
