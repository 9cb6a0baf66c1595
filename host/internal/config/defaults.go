package config

import (
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

const (
	defaultEvery   = 5 // ticks, if neither a file nor the plugin says
	maxEvery       = 1_000_000
	maxConcurrency = 1024
	maxPageSize    = 100_000

	defaultOnboardingMaxAge = 7 * 24 * time.Hour
)

// Origin says which scope a value came from (O09).
type Origin string

// The scopes, the strongest first.
const (
	FromIntegration Origin = "integration"
	FromTenant      Origin = "tenant" // defaults in the tenant's file
	FromHost        Origin = "host"   // defaults in host.yaml
	FromPlugin      Origin = "plugin" // the manifest
	FromDefault     Origin = "default"
)

// Defaults are values for integrations that do not give them, by plugin.
type Defaults struct {
	Plugins  map[string]Schedule `json:"plugins,omitempty"`
	Timezone string              `json:"timezone,omitempty"` // of cron rules that name none
	// OnboardingMaxAge is that of plugins that Plugins says nothing of; nil: not given.
	OnboardingMaxAge *time.Duration `json:"onboarding_max_age,omitempty"`
}

// of returns what the scope says of a plugin's integrations.
func (d Defaults) of(plugin string) Schedule {
	s := d.Plugins[plugin]
	if s.Timezone == "" {
		s.Timezone = d.Timezone
	}
	if s.OnboardingMaxAge == nil {
		s.OnboardingMaxAge = d.OnboardingMaxAge
	}
	return s
}

// Schedule is what a scope says of when and how much an integration works. A nil
// or empty field is not given; of Every and Cron one is at most.
type Schedule struct {
	Every       *int   `json:"every,omitempty"`
	Cron        string `json:"cron,omitempty"`
	Timezone    string `json:"timezone,omitempty"` // IANA name
	Concurrency *int   `json:"concurrency,omitempty"`
	PageSize    *int   `json:"page_size,omitempty"`
	Limit       *Limit `json:"limit,omitempty"`
	// OnboardingMaxAge is how old an onboarding run may get; 0 is for ever.
	OnboardingMaxAge *time.Duration `json:"onboarding_max_age,omitempty"`
}

// Limit bounds how many records an integration may import in a period.
type Limit struct {
	Records          int           `json:"records"`
	Per              time.Duration `json:"per"`               // 0: each run has the limit for itself
	OnboardingFactor float64       `json:"onboarding_factor"` // 1 if not given
	Key              string        `json:"key,omitempty"`     // one limit for the tenant's integrations with the same
}

// spec returns the limit as the store has it; none for nil.
func (l *Limit) spec() store.RecordLimit {
	if l == nil {
		return store.RecordLimit{}
	}
	return store.RecordLimit{Records: int64(l.Records), Per: l.Per, OnboardingFactor: l.OnboardingFactor, Key: l.Key}
}

// over fills what d leaves open from a weaker scope, and notes in origins what
// came from there.
func (d Schedule) over(weaker Schedule, from Origin, origins map[string]Origin) Schedule {
	if d.Every == nil && d.Cron == "" { // either of them goes before a weaker scope's other
		d.Every, d.Cron = weaker.Every, weaker.Cron
		if d.Every != nil {
			origins["every"] = from
		}
		if d.Cron != "" {
			origins["cron"] = from
		}
	}
	if d.Timezone == "" && weaker.Timezone != "" {
		d.Timezone = weaker.Timezone
		origins["timezone"] = from
	}
	if d.Concurrency == nil && weaker.Concurrency != nil {
		d.Concurrency = weaker.Concurrency
		origins["concurrency"] = from
	}
	if d.PageSize == nil && weaker.PageSize != nil {
		d.PageSize = weaker.PageSize
		origins["page_size"] = from
	}
	if d.OnboardingMaxAge == nil && weaker.OnboardingMaxAge != nil {
		d.OnboardingMaxAge = weaker.OnboardingMaxAge
		origins["onboarding_max_age"] = from
	}
	if d.Limit == nil && weaker.Limit != nil {
		d.Limit = weaker.Limit
		origins["limit"] = from
	}
	return d
}

// defaults reads defaults: {plugins: {NAME: {...}}}.
func (l *loader) defaults(o object) Defaults {
	d, ok := o.src.object(o.at("defaults"), "defaults", "plugins", "timezone", "onboarding_max_age")
	if !ok {
		return Defaults{}
	}
	out := Defaults{Timezone: l.timezone(d), OnboardingMaxAge: d.maxAge()}
	if !d.has("plugins") {
		return out
	}
	path := "defaults.plugins"
	if deref(d.at("plugins")).Kind != yaml.MappingNode {
		o.src.failAt(CodeBadType, d.at("plugins"), "", "%s: a mapping is needed, this is %s", path, kindOf(d.at("plugins")))
		return out
	}
	out.Plugins = map[string]Schedule{}
	for _, p := range o.src.pairsOf(d.at("plugins"), path) {
		if !sdk.ValidName(p.key.Value) {
			o.src.failAt(CodeBadName, p.key, nameHelp, "%s: %q is not a name", path, short(p.key.Value))
			continue
		}
		if v, ok := o.src.object(p.value, join(path, p.key.Value), scheduleKeys()...); ok {
			out.Plugins[p.key.Value] = l.schedule(v)
		}
	}
	return out
}

func scheduleKeys() []string {
	return []string{"every", "cron", "timezone", "concurrency", "page_size", "limit", "onboarding_max_age"}
}

func (l *loader) schedule(o object) Schedule {
	var out Schedule
	if v, ok := l.every(o); ok {
		out.Every = &v
	}
	out.Timezone = l.timezone(o)
	out.Cron = l.cron(o)
	out.OnboardingMaxAge = o.maxAge()
	if v, ok := o.integer("concurrency", maxConcurrency); ok {
		out.Concurrency = &v
	}
	if v, ok := o.integer("page_size", maxPageSize); ok {
		out.PageSize = &v
	}
	if v, ok := l.limit(o); ok {
		out.Limit = &v
	}
	return out
}

// maxAge reads how old an onboarding run may get; 0 is for ever.
func (o object) maxAge() *time.Duration {
	const key, least, most = "onboarding_max_age", time.Hour, 10 * 366 * 24 * time.Hour
	n, ok := o.scalar(key, "a time", "!!str", "!!int")
	if !ok {
		return nil
	}
	d, err := time.ParseDuration(n.Value)
	if err != nil || d != 0 && (d < least || d > most) {
		o.src.failAt(CodeBadValue, n, "such as 168h, which is 7 days; at least 1h; 0 lets it go on for ever", "%s: %q is not such a time", join(o.path, key), short(n.Value))
		return nil
	}
	return &d
}

// every reads ticks of one minute: a number, or a string such as "20 ticks".
func (l *loader) every(o object) (int, bool) {
	if !o.has("every") {
		return 0, false
	}
	n := deref(o.at("every"))
	number, unit, _ := strings.Cut(n.Value, " ")
	v, err := strconv.Atoi(number)
	if unit != "" && unit != "tick" && unit != "ticks" {
		err = strconv.ErrSyntax
	}
	if n.Kind != yaml.ScalarNode || err != nil || v > maxEvery || v < -maxEvery {
		o.src.failAt(CodeBadValue, o.at("every"), `a number of ticks of one minute: 20 or "20 ticks"; 0 is every tick, -1 is never`, "%s: not a number of ticks", join(o.path, "every"))
		return 0, false
	}
	return max(v, -1), true
}

// limit reads a limit.
func (l *loader) limit(o object) (Limit, bool) {
	if !o.has("limit") {
		return Limit{}, false
	}
	path := join(o.path, "limit")
	v, ok := o.src.object(o.at("limit"), path, limitKeys()...)
	if !ok {
		return Limit{}, false
	}
	v.need("records")
	out := Limit{OnboardingFactor: 1}
	out.Records, _ = v.integer("records", math.MaxInt32)
	if text, ok := v.text("per"); ok {
		per, err := time.ParseDuration(text)
		if err != nil || per < time.Second || per > 366*24*time.Hour {
			o.src.failAt(CodeBadValue, v.at("per"), "such as 1h or 24h", "%s.per: not a time between 1s and 8784h", path)
		}
		out.Per = per
	}
	if n, ok := v.scalar("onboarding_factor", "a number", "!!int", "!!float"); ok {
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || !(f > 0 && f <= 1e6) {
			o.src.failAt(CodeBadValue, n, "", "%s.onboarding_factor: not a number above 0", path)
		}
		out.OnboardingFactor = f
	}
	out.Key, _ = v.name("key")
	if out.Key != "" && !v.has("per") {
		o.src.failAt(CodeMissingKey, v.at("key"), "such as per: 24h", "%s.key: a limit that is shared needs per", path)
	}
	return out, true
}

func limitKeys() []string { return []string{"records", "per", "onboarding_factor", "key"} }
