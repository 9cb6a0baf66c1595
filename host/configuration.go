package main

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// configuration makes the store what the files say, and keeps it so: a tenant
// whose file is bad keeps what the store has, which is its last good state.
type configuration struct {
	file     string
	opts     config.Options
	keys     *secret.Keyring
	db       *sqlite.DB
	manifest func(name string) (sdk.Manifest, bool)
	types    *templates
	log      hclog.Logger
	now      func() time.Time

	follow  func(config.Host) // what host.yaml says now
	applied func()            // integrations changed
	// reread has the watcher read the files again, soon: it does not know what somebody
	// else applied, and would take a file that is as it last read it for no news.
	reread func()

	applying sync.Mutex // one reading is applied at a time

	told string // the problems in the newest log lines; of changed alone

	mu        sync.Mutex // guards what follows
	problems  config.Problems
	appliedAt time.Time
	origins   map[string]map[string]string // by tenant/name, then key
	had       map[string][]string          // connectors, by tenant/name
	retention store.Retention
	guard     float64 // of deletes
	paused    bool
	stuck     time.Duration
	screens   map[string][]string // by tenant: who may embed them
	parks     bool                // integrations that a new version of their plugin does not take
	good      *config.Host        // host.yaml as it was applied last; nil before the first time
}

var _ api.Config = (*configuration)(nil)

// apply makes the store what the snapshot says. The problems are those of the
// snapshot and of the plan.
func (c *configuration) apply(ctx context.Context, snap config.Snapshot, confirm bool) ([]store.Change, config.Problems, error) {
	c.applying.Lock()
	defer c.applying.Unlock()
	changes, problems, err := c.plan(ctx, snap, confirm)
	if err != nil {
		return nil, problems, err
	}
	if err := c.types.apply(ctx, snap); err != nil { // before the integrations that are of them
		return nil, problems, fmt.Errorf("apply configuration: %w", err)
	}
	if len(changes) > 0 {
		if err := c.db.ApplyChanges(ctx, changes); err != nil {
			return nil, problems, fmt.Errorf("apply configuration: %w", err)
		}
	}
	c.mu.Lock()
	for _, ch := range changes {
		c.had[ch.Spec.Tenant+"/"+ch.Spec.Name] = ch.Spec.Connectors
	}
	c.problems, c.appliedAt = problems, c.now()
	c.keepOrigins(snap)
	c.keepScreens(snap)
	if snap.HostOK {
		c.retention, c.guard = snap.Host.Retention, snap.Host.DeleteGuard
		c.paused, c.stuck = snap.Host.Paused, snap.Host.StuckAfter
		c.parks = snap.Host.Plugins.OnIncompatible == config.IncompatiblePark
		c.good = &snap.Host
	}
	c.mu.Unlock()
	if snap.HostOK && c.follow != nil {
		c.follow(snap.Host)
	}
	if len(changes) > 0 && c.applied != nil {
		c.applied()
	}
	for _, ch := range changes {
		log := c.log.With("op", ch.Op, "tenant", ch.Spec.Tenant, "integration", ch.Spec.Name)
		if ch.Op == store.ChangeUpdate {
			log = log.With("fields", strings.Join(ch.Fields, ","))
		}
		log.Info("integration changed")
	}
	return changes, problems, nil
}

// remember keeps in mind which connectors integrations have.
func (c *configuration) remember(all []store.Integration) {
	had := make(map[string][]string, len(all))
	for _, in := range all {
		if in.RemovedAt.IsZero() {
			had[in.FullName()] = in.Connectors
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.had = had
}

// connectors returns those that an integration, tenant/name, has had.
func (c *configuration) connectors(integration string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.had[integration]
}

// keepOrigins remembers where the values of the good files came from. A tenant
// whose file is bad keeps what it had. The caller holds mu.
func (c *configuration) keepOrigins(snap config.Snapshot) {
	if c.origins == nil {
		c.origins = map[string]map[string]string{}
	}
	for _, in := range snap.Integrations() {
		origins := map[string]string{}
		for key, from := range in.Origins {
			origins[key] = string(from)
		}
		c.origins[in.FullName()] = origins
	}
}

// keepScreens remembers whose pages embed the screens of tenants. A tenant whose file
// is bad keeps what it had, and one that has no file any more has none. The caller holds
// mu.
func (c *configuration) keepScreens(snap config.Snapshot) {
	if !snap.Listed {
		return
	}
	screens := map[string][]string{}
	for _, f := range snap.Files {
		switch {
		case f.Good:
			screens[f.Tenant] = f.Screens.Origins
		case screens[f.Tenant] == nil:
			screens[f.Tenant] = c.screens[f.Tenant]
		}
	}
	c.screens = screens
}

// ScreenOrigins returns the origins of the pages that may embed the screens of a tenant.
func (c *configuration) ScreenOrigins(tenant string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.screens[tenant]
}

// lastGood returns the last good host.yaml, if it was applied since the start.
func (c *configuration) lastGood() (config.Host, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.good == nil {
		return config.Host{}, false
	}
	return *c.good, true
}

// Paused reports whether nothing may run, as the last good host.yaml says.
func (c *configuration) Paused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused
}

// StuckAfter returns how long a run may make no progress, likewise.
func (c *configuration) StuckAfter() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stuck
}

// ParksIncompatible reports whether integrations are parked that a new version of their
// plugin does not take, likewise.
func (c *configuration) ParksIncompatible() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parks
}

// Retention returns how long what is over is kept, as the last good host.yaml says.
func (c *configuration) Retention() store.Retention {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retention
}

// DeleteGuard returns the share above which a full sync deletes nothing, likewise.
func (c *configuration) DeleteGuard() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.guard
}

// Origins implements api.Config.
func (c *configuration) Origins(in store.Integration) map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.origins[in.FullName()])
}

// plan says what apply would change.
func (c *configuration) plan(ctx context.Context, snap config.Snapshot, confirm bool) ([]store.Change, config.Problems, error) {
	current, err := c.db.Integrations(ctx, store.IntegrationFilter{Limit: allIntegrations})
	if err != nil {
		return nil, snap.Problems, fmt.Errorf("read integrations: %w", err)
	}
	c.remember(current)
	changes, more := config.Plan(current, snap, c.keys, config.PlanOptions{Confirm: confirm, Now: c.now()})
	return changes, append(append(config.Problems{}, snap.Problems...), more...), nil
}

// allIntegrations is more than one host has.
const allIntegrations = 1 << 30

// changed applies what the watcher read, and says once what is wrong.
func (c *configuration) changed(ctx context.Context, snap config.Snapshot) {
	_, problems, err := c.apply(ctx, snap, false)
	if err != nil && ctx.Err() == nil {
		c.log.Error("configuration not applied", "error", err)
	}
	text := problems.Text(false)
	if text == c.told { // the files are read again when a plugin comes or goes
		return
	}
	c.told = text
	for _, p := range problems {
		level := hclog.Warn
		if p.Severity == config.SeverityError {
			level = hclog.Error
		}
		c.log.Log(level, "configuration", "code", p.Code, "at", place(p.File, uint32(max(p.Line, 0))), "problem", p.Message, "help", p.Help) //nolint:gosec // a line of a file of at most 1 MiB
	}
}

// Reload implements api.Config.
func (c *configuration) Reload(ctx context.Context, confirm bool) (api.Report, error) {
	changes, problems, err := c.apply(ctx, config.Load(c.file, c.opts), confirm)
	if c.reread != nil {
		c.reread()
	}
	return api.Report{Changes: changes, Problems: apiProblems(problems)}, err
}

// Diff implements api.Config.
func (c *configuration) Diff(ctx context.Context) (api.Report, error) {
	changes, problems, err := c.plan(ctx, config.Load(c.file, c.opts), false)
	return api.Report{Changes: changes, Problems: apiProblems(problems)}, err
}

// Status implements api.Config.
func (c *configuration) Status(context.Context) api.ConfigStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return api.ConfigStatus{File: c.file, AppliedAt: c.appliedAt, Paused: c.paused, Problems: apiProblems(c.problems)}
}

// Settings implements api.Config.
func (c *configuration) Settings(_ context.Context, in store.Integration) (settings, schema []byte, err error) {
	open, err := config.OpenSettings(c.keys, in)
	if err != nil {
		return nil, nil, err
	}
	if in.Template != "" {
		return open.Reveal(), c.types.schema(in), nil
	}
	if m, ok := c.manifest(in.Plugin); ok {
		schema = m.SettingsSchema
	}
	return open.Reveal(), schema, nil
}

func apiProblems(ps config.Problems) []api.Problem {
	out := make([]api.Problem, len(ps))
	for i, p := range ps {
		out[i] = api.Problem{
			Severity: string(p.Severity), Code: p.Code, Message: p.Message,
			File: p.File, Line: p.Line, Column: p.Col, Caret: p.Caret, Source: p.Source, Help: p.Help,
		}
	}
	return out
}

// vault opens and seals for the runner. What it opens is known to the redactor
// from then on.
type vault struct {
	keys     *secret.Keyring
	redactor *secret.Redactor
	manifest func(name string) (sdk.Manifest, bool)
}

var _ runner.Vault = vault{}

// Settings implements runner.Vault.
func (v vault) Settings(in store.Integration) ([]byte, error) {
	s, err := config.OpenSettings(v.keys, in)
	if err != nil {
		return nil, err
	}
	plain := s.Reveal()
	if m, ok := v.manifest(in.Plugin); ok {
		v.redactor.Keep(in.UID, config.Secrets(m.SettingsSchema, plain)...)
	}
	return plain, nil
}

// MergePatch implements runner.Vault. What names a host opens a way to it, so it is
// for those to set who write the files (P09).
func (v vault) MergePatch(in store.Integration, changes map[string][]byte) ([]byte, error) {
	m, _ := v.manifest(in.Plugin)
	for key, value := range changes {
		if config.NamesHost(m.SettingsSchema, key, value) {
			return nil, fmt.Errorf("keep settings of %s: %w: %q names a host, which only a tenant's file does", in.FullName(), store.ErrInvalid, key)
		}
	}
	return config.SealPatch(v.keys, in, changes)
}

// Seal implements runner.Vault.
func (v vault) Seal(plain []byte, place ...string) ([]byte, error) {
	v.redactor.Keep(strings.Join(place, "/"), string(plain))
	return v.keys.Seal(plain, place...)
}

// Open implements runner.Vault.
func (v vault) Open(sealed []byte, place ...string) ([]byte, error) {
	plain, err := v.keys.Open(sealed, place...)
	if err == nil {
		v.redactor.Keep(strings.Join(place, "/"), string(plain))
	}
	return plain, err
}
