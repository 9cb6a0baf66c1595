package config

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/jackfield/jackfield/host/internal/schedule"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/store"
)

// PlanOptions say how to compute changes.
type PlanOptions struct {
	// Confirm accepts that an integration went and another one came (K22).
	Confirm bool
	Now     time.Time     // time.Now() if zero
	NewUID  func() string // 16 random hex digits if nil
}

// Plan computes what has to change in the store, which has current, removed ones
// included, so that it is what the snapshot declares. Settings are sealed for
// their place. A change without Fields only moves the place of a declaration.
//
// What cannot be decided is a problem, and the tenant that has it is left as it
// is; so is a tenant with a bad file. The changes of the others count.
func Plan(current []store.Integration, snap Snapshot, keys *secret.Keyring, opts PlanOptions) ([]store.Change, Problems) {
	if !snap.Listed {
		return nil, nil
	}
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	if opts.NewUID == nil {
		opts.NewUID = NewUID
	}
	held := heldTenants(current, snap)
	desired := map[string][]Integration{}
	for _, in := range snap.Integrations() {
		desired[in.Spec.Tenant] = append(desired[in.Spec.Tenant], in)
	}
	have := map[string][]store.Integration{}
	for _, in := range current {
		have[in.Tenant] = append(have[in.Tenant], in)
	}
	var tenants []string
	for t := range desired {
		tenants = append(tenants, t)
	}
	for t := range have {
		tenants = append(tenants, t)
	}
	slices.Sort(tenants)
	var changes []store.Change
	var problems Problems
	for _, t := range slices.Compact(tenants) {
		if held[t] {
			continue
		}
		p := &planner{keys: keys, opts: opts}
		p.tenant(have[t], desired[t])
		problems = append(problems, p.problems...)
		if !p.problems.Failed() {
			changes = append(changes, p.changes...)
		}
	}
	slices.SortStableFunc(changes, func(a, b store.Change) int { return cmp.Compare(order(a.Op), order(b.Op)) })
	return changes, problems.sorted()
}

// NewUID returns a new name for an integration: 16 random hex digits.
func NewUID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails: the program ends if the system has no randomness
	return hex.EncodeToString(b)
}

// order puts first what frees a name.
func order(op store.ChangeOp) int {
	return slices.Index([]store.ChangeOp{
		store.ChangeRemove, store.ChangeRename, store.ChangeDisable, store.ChangeUpdate, store.ChangeRestore, store.ChangeCreate,
	}, op)
}

// heldTenants returns the tenants that a bad file names, or has named when it was
// good.
func heldTenants(current []store.Integration, snap Snapshot) map[string]bool {
	held, bad := map[string]bool{}, map[string]bool{}
	for _, f := range snap.Files {
		if !f.Good {
			bad[f.Path], held[f.Tenant] = true, true
		}
	}
	for _, in := range current {
		if bad[in.File] && in.RemovedAt.IsZero() {
			held[in.Tenant] = true
		}
	}
	return held
}

// planner plans one tenant.
type planner struct {
	keys     *secret.Keyring
	opts     PlanOptions
	changes  []store.Change
	problems Problems
	used     map[string]bool // uids that a declaration was matched with
}

func (p *planner) tenant(have []store.Integration, desired []Integration) {
	p.used = map[string]bool{}
	var created []Integration
	for _, d := range desired {
		if !p.match(d, have) {
			created = append(created, d)
		}
	}
	var removed []store.Integration
	for _, in := range have {
		if !in.RemovedAt.IsZero() || p.used[in.UID] {
			continue
		}
		removed = append(removed, in)
		p.changes = append(p.changes, store.Change{Op: store.ChangeRemove, UID: in.UID, Spec: in.IntegrationSpec, Fields: []string{"declaration"}})
	}
	for _, d := range created {
		p.create(d, removed)
	}
}

// match finds the integration that d declares: of its name, of its old name, or
// one that was removed and is still kept.
func (p *planner) match(d Integration, have []store.Integration) bool {
	find := func(name string, live bool) (store.Integration, bool) {
		for _, in := range slices.Backward(have) {
			kept := live || in.KeepUntil.IsZero() || p.opts.Now.Before(in.KeepUntil)
			if name != "" && in.Name == name && in.RemovedAt.IsZero() == live && kept && !p.used[in.UID] {
				return in, true
			}
		}
		return store.Integration{}, false
	}
	for _, try := range []struct {
		name string
		live bool
		op   store.ChangeOp
	}{
		{d.Spec.Name, true, store.ChangeUpdate},
		{d.MovedFrom, true, store.ChangeRename},
		{d.Spec.Name, false, store.ChangeRestore},
		{d.MovedFrom, false, store.ChangeRestore},
	} {
		if in, ok := find(try.name, try.live); ok {
			p.used[in.UID] = true
			p.change(try.op, in, d)
			return true
		}
	}
	return false
}

// change turns in into what d declares.
func (p *planner) change(op store.ChangeOp, in store.Integration, d Integration) {
	if in.Plugin != d.Spec.Plugin {
		help, was, is := "give it a new name, or put the old plugin back", fmt.Sprintf("plugin %q", in.Plugin), fmt.Sprintf("plugin %q", d.Spec.Plugin)
		if in.Template != "" {
			was = fmt.Sprintf("template %q", in.Template)
		}
		if d.Spec.Template != "" {
			is = fmt.Sprintf("template %q", d.Spec.Template)
		}
		p.fail(d, CodePluginChanged, help, "integration %s is of %s; it cannot become one of %s", in.FullName(), was, is)
		return
	}
	spec := d.Spec
	d.connect(&spec, in)
	if !d.Checked && !d.scheduled { // what the manifest would say stays as it was
		spec.Every, spec.Cron, spec.Timezone = in.Every, in.Cron, in.Timezone
	}
	if !p.seal(&spec, d, in) {
		return
	}
	fields := difference(in.IntegrationSpec, spec)
	enabled := spec.Enabled && (!in.Enabled || op == store.ChangeRestore)
	if op == store.ChangeUpdate && in.Enabled && !spec.Enabled {
		op = store.ChangeDisable
	}
	if op == store.ChangeRestore {
		fields = append([]string{"declaration"}, fields...)
	}
	if op == store.ChangeUpdate && len(fields) == 0 && in.File == spec.File && in.Line == spec.Line && slices.Equal(in.Offered, spec.Offered) {
		return
	}
	next, err := schedule.Of(store.Integration{ID: in.ID, UID: in.UID, IntegrationSpec: spec}).Resume(in.LastCheckAt, p.opts.Now)
	if err != nil {
		p.fail(d, CodeBadValue, "", "integration %s: %v", d.FullName(), err)
		return
	}
	p.changes = append(p.changes, store.Change{Op: op, UID: in.UID, Spec: spec, Sync: enabled, NextCheckAt: next, Fields: fields})
}

// connect says which connectors an integration has that was in before. Without a list
// in its file it has those that it was offered when it was declared: of a new version
// that has another one, this begins disabled, and of one that has one less, that is
// parked and comes back with it (K17).
func (d Integration) connect(spec *store.IntegrationSpec, in store.Integration) {
	switch {
	case !d.Checked:
		if spec.Connectors == nil {
			spec.Connectors = in.Connectors
		}
		spec.Offered = in.Offered
	case len(in.Offered) == 0: // its plugin was not known
		spec.Offered = d.known
	case d.named:
		spec.Offered = slices.Clone(in.Offered)
		for _, c := range spec.Connectors {
			if !slices.Contains(spec.Offered, c) {
				spec.Offered = append(spec.Offered, c)
			}
		}
	default:
		spec.Connectors, spec.Offered = in.Offered, in.Offered
	}
}

// create adds an integration, unless it looks like one that has just gone.
func (p *planner) create(d Integration, removed []store.Integration) {
	for _, r := range removed {
		if r.Plugin == d.Spec.Plugin && r.Template == d.Spec.Template && !p.opts.Confirm {
			p.fail(d, CodeMovedOrNew, "moved_from: "+r.Name+" if it was renamed; else confirm with: jackfield reload --confirm",
				"integration %s is gone and %s of the same %s is new", r.FullName(), d.FullName(), kindWord(d.Spec))
			return
		}
	}
	uid, spec := p.opts.NewUID(), d.Spec
	d.connect(&spec, store.Integration{})
	if !p.seal(&spec, d, store.Integration{UID: uid}) {
		return
	}
	p.changes = append(p.changes, store.Change{Op: store.ChangeCreate, UID: uid, Spec: spec, Sync: spec.Enabled, Fields: []string{"declaration"}})
}

func kindWord(s store.IntegrationSpec) string {
	if s.Template != "" {
		return "template"
	}
	return "plugin"
}

// seal puts the settings into spec: those that are there if they say the same.
func (p *planner) seal(spec *store.IntegrationSpec, d Integration, in store.Integration) bool {
	body := []byte(d.Settings.Reveal("to seal it for the store"))
	place := settingsPlace(spec.Tenant, in.UID)
	spec.SettingsSum = p.keys.Sum(body, place...)
	if bytes.Equal(spec.SettingsSum, in.SettingsSum) && len(in.Settings) > 0 {
		spec.Settings = in.Settings
		return true
	}
	sealed, err := p.keys.Seal(body, place...)
	if err != nil {
		p.fail(d, CodeSeal, "", "integration %s: %v", d.FullName(), err)
		return false
	}
	spec.Settings = sealed
	return true
}

func (p *planner) fail(d Integration, code, help, format string, args ...any) {
	p.problems = append(p.problems, Problem{
		Severity: SeverityError, Code: code, File: d.Spec.File, Line: d.Spec.Line,
		Message: fmt.Sprintf(format, args...), Help: help,
	})
}

// difference names what differs, for people.
func difference(a, b store.IntegrationSpec) []string {
	var out []string
	add := func(name string, differs bool) {
		if differs {
			out = append(out, name)
		}
	}
	add("name", a.Name != b.Name)
	add("label", a.Label != b.Label)
	add("description", a.Description != b.Description)
	add("enabled", a.Enabled != b.Enabled)
	add("connectors", !slices.Equal(a.Connectors, b.Connectors))
	add("every", a.Every != b.Every)
	add("cron", a.Cron != b.Cron)
	add("timezone", a.Timezone != b.Timezone)
	add("concurrency", a.Concurrency != b.Concurrency)
	add("page_size", a.PageSize != b.PageSize)
	add("limit", a.Limit != b.Limit)
	add("onboarding_max_age", a.OnboardingMaxAge != b.OnboardingMaxAge)
	add("on_disable", a.FinishOnDisable != b.FinishOnDisable)
	add("on_type_change", a.OnTypeChange != b.OnTypeChange)
	add("log_warnings", a.LogWarnings != b.LogWarnings)
	add("template", a.Template != b.Template)
	add("callcenter", a.Callcenter != b.Callcenter)
	add("host", a.Host != b.Host)
	add("lookup", a.Lookup != b.Lookup)
	add("info", !bytes.Equal(a.Info, b.Info))
	add("iframe", !bytes.Equal(a.Iframe, b.Iframe))
	add("settings", !bytes.Equal(a.SettingsSum, b.SettingsSum))
	return out
}
