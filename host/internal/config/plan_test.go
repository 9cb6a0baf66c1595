package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/store"
)

func at() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// site is a store of integrations in memory and the key beside it.
type site struct {
	t    *testing.T
	keys *secret.Keyring
	have []store.Integration
	uids int
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	keys, err := secret.OpenKeyring(filepath.Join(dir, "jackfield.key"), filepath.Join(dir, "data"))
	require.NoError(t, err)
	return &site{t: t, keys: keys}
}

// plan computes the changes that integrations of tenant acme need.
func (s *site) plan(confirm bool, desired ...Integration) ([]store.Change, Problems) {
	return Plan(s.have, snapshot(desired...), s.keys, s.options(confirm))
}

func (s *site) options(confirm bool) PlanOptions {
	return PlanOptions{Confirm: confirm, Now: at(), NewUID: func() string {
		s.uids++
		return fmt.Sprintf("%016x", s.uids)
	}}
}

func snapshot(desired ...Integration) Snapshot {
	return Snapshot{Listed: true, HostOK: true, Files: []TenantFile{{Path: "acme.yaml", Tenant: "acme", Good: true, Integrations: desired}}}
}

// apply does what a store does with changes, as far as Plan looks at it.
func (s *site) apply(changes []store.Change) {
	s.t.Helper()
	for _, c := range changes {
		if c.Op == store.ChangeCreate {
			s.have = append(s.have, store.Integration{UID: c.UID, IntegrationSpec: c.Spec})
			continue
		}
		for i := range s.have {
			switch in := &s.have[i]; {
			case in.UID != c.UID:
			case c.Op == store.ChangeRemove:
				in.RemovedAt, in.KeepUntil = at(), at().Add(store.KeepRemoved)
			default:
				in.IntegrationSpec, in.RemovedAt, in.KeepUntil = c.Spec, time.Time{}, time.Time{}
			}
		}
	}
}

func want(name string, change ...func(*Integration)) Integration {
	in := Integration{
		Settings: secret.New(`{"token":"canary"}`), Checked: true, scheduled: true,
		Spec: store.IntegrationSpec{Tenant: "acme", Name: name, Label: name, Plugin: "slack", Connectors: []string{"members"}, Every: 5, Enabled: true, File: "acme.yaml", Line: 3},
	}
	for _, c := range change {
		c(&in)
	}
	return in
}

type step struct {
	op     store.ChangeOp
	uid    string
	name   string
	sync   bool
	fields []string
}

func steps(changes []store.Change) []step {
	out := []step{}
	for _, c := range changes {
		out = append(out, step{c.Op, c.UID, c.Spec.Name, c.Sync, c.Fields})
	}
	return out
}

// rows: K22, O16
func TestPlan(t *testing.T) {
	t.Parallel()
	const first, second = "0000000000000001", "0000000000000002"
	declared := []string{"declaration"}
	tests := map[string]struct {
		before, after []Integration
		age           func(*store.Integration) // of what is stored, between
		confirm       bool
		want          []step
		problem       string
	}{
		"Creates":         {nil, []Integration{want("a")}, nil, false, []step{{store.ChangeCreate, first, "a", true, declared}}, ""},
		"CreatesDisabled": {nil, []Integration{want("a", disabled)}, nil, false, []step{{store.ChangeCreate, first, "a", false, declared}}, ""},
		"NothingChanged":  {[]Integration{want("a")}, []Integration{want("a")}, nil, false, []step{}, ""},
		"MovedInTheFile":  {[]Integration{want("a")}, []Integration{want("a", func(in *Integration) { in.Spec.Line = 9 })}, nil, false, []step{{store.ChangeUpdate, first, "a", false, nil}}, ""},
		"SettingsChanged": {[]Integration{want("a")}, []Integration{want("a", settingsOf(`{"token":"other"}`))}, nil, false, []step{{store.ChangeUpdate, first, "a", false, []string{"settings"}}}, ""},
		"AllChanged": {[]Integration{want("a")}, []Integration{want("a", func(in *Integration) {
			in.Spec.Label, in.Spec.Every, in.Spec.Concurrency, in.Spec.Connectors = "A label", 6, 2, nil
		})}, nil, false, []step{{store.ChangeUpdate, first, "a", false, []string{"label", "connectors", "every", "concurrency"}}}, ""},
		"Disables":         {[]Integration{want("a")}, []Integration{want("a", disabled)}, nil, false, []step{{store.ChangeDisable, first, "a", false, []string{"enabled"}}}, ""},
		"Enables":          {[]Integration{want("a", disabled)}, []Integration{want("a")}, nil, false, []step{{store.ChangeUpdate, first, "a", true, []string{"enabled"}}}, ""},
		"Removes":          {[]Integration{want("a")}, nil, nil, false, []step{{store.ChangeRemove, first, "a", false, declared}}, ""},
		"Renames":          {[]Integration{want("a")}, []Integration{want("b", movedFromA)}, nil, false, []step{{store.ChangeRename, first, "b", false, []string{"name", "label"}}}, ""},
		"MovedFromIsDone":  {[]Integration{want("b", movedFromA)}, []Integration{want("b", movedFromA)}, nil, false, []step{}, ""},
		"MovedFromIsNew":   {nil, []Integration{want("b", movedFromA)}, nil, false, []step{{store.ChangeCreate, first, "b", true, declared}}, ""},
		"RefusesARename":   {[]Integration{want("a")}, []Integration{want("b")}, nil, false, []step{}, CodeMovedOrNew},
		"ConfirmedRename":  {[]Integration{want("a")}, []Integration{want("b")}, nil, true, []step{{store.ChangeRemove, first, "a", false, declared}, {store.ChangeCreate, second, "b", true, declared}}, ""},
		"OtherPluginIsNew": {[]Integration{want("a")}, []Integration{want("b", plugin("git"))}, nil, false, []step{{store.ChangeRemove, first, "a", false, declared}, {store.ChangeCreate, second, "b", true, declared}}, ""},
		"RefusesAPlugin":   {[]Integration{want("a")}, []Integration{want("a", plugin("git"))}, nil, false, []step{}, CodePluginChanged},
		"Restores":         {[]Integration{want("a")}, []Integration{want("a")}, removedAt(0), false, []step{{store.ChangeRestore, first, "a", true, declared}}, ""},
		"RestoresRenamed":  {[]Integration{want("a")}, []Integration{want("b", movedFromA)}, removedAt(0), false, []step{{store.ChangeRestore, first, "b", true, []string{"declaration", "name", "label"}}}, ""},
		"RestoresDisabled": {[]Integration{want("a")}, []Integration{want("a", disabled)}, removedAt(0), false, []step{{store.ChangeRestore, first, "a", false, []string{"declaration", "enabled"}}}, ""},
		"TooLateToRestore": {[]Integration{want("a")}, []Integration{want("a")}, removedAt(store.KeepRemoved), false, []step{{store.ChangeCreate, second, "a", true, declared}}, ""},
		"RemovedStaysSo":   {[]Integration{want("a")}, nil, removedAt(0), false, []step{}, ""},
		"UncheckedKeeps": {[]Integration{want("a")}, []Integration{want("a", func(in *Integration) {
			in.Checked, in.scheduled, in.Spec.Connectors, in.Spec.Every = false, false, nil, 99
		})}, nil, false, []step{}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			changes, problems := s.plan(false, test.before...)
			require.Empty(t, problems)
			s.apply(changes)
			if test.age != nil {
				test.age(&s.have[0])
			}
			changes, problems = s.plan(test.confirm, test.after...)
			require.Equal(t, test.want, steps(changes))
			if test.problem == "" {
				require.Empty(t, problems)
			} else {
				require.Equal(t, []string{test.problem}, codes(problems))
				require.NotEmpty(t, problems[0].Help)
			}
			require.NotContains(t, fmt.Sprintf("%+v", problems), "canary")
			s.apply(changes)
			again, problems := s.plan(false, test.after...)
			if test.problem == "" {
				require.Empty(t, again, "a plan that was applied leaves nothing to do")
				require.Empty(t, problems)
			}
		})
	}
}

func disabled(in *Integration) { in.Spec.Enabled = false }

func movedFromA(in *Integration) { in.MovedFrom = "a" }

func plugin(name string) func(*Integration) {
	return func(in *Integration) { in.Spec.Plugin = name }
}

func settingsOf(raw string) func(*Integration) {
	return func(in *Integration) { in.Settings = secret.New(raw) }
}

func removedAt(ago time.Duration) func(*store.Integration) {
	return func(in *store.Integration) {
		in.RemovedAt, in.KeepUntil = at().Add(-ago-time.Hour), at().Add(store.KeepRemoved-ago-time.Hour)
	}
}

// rows: F20, K22
func TestPlanLeavesTenantsOfBadFilesAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	changes, problems := s.plan(false, want("a"))
	require.Empty(t, problems)
	s.apply(changes)
	beta := want("b", func(in *Integration) { in.Spec.Tenant, in.Spec.File = "beta", "beta.yaml" })

	unreadable := snapshot()
	unreadable.Files[0] = TenantFile{Path: "acme.yaml"}
	unreadable.Files = append(unreadable.Files, TenantFile{Path: "beta.yaml", Tenant: "beta", Good: true, Integrations: []Integration{beta}})
	changes, problems = Plan(s.have, unreadable, s.keys, s.options(false))
	require.Empty(t, problems)
	require.Equal(t, []step{{store.ChangeCreate, "0000000000000002", "b", true, []string{"declaration"}}}, steps(changes))

	elsewhere := snapshot()
	elsewhere.Files[0] = TenantFile{Path: "new.yaml", Tenant: "acme"}
	changes, _ = Plan(s.have, elsewhere, s.keys, s.options(false))
	require.Empty(t, changes)

	unlisted := snapshot()
	unlisted.Listed = false
	changes, _ = Plan(s.have, unlisted, s.keys, s.options(false))
	require.Empty(t, changes)
}

// rows: L03, C29, O43
func TestSettingsAreSealedForTheirPlace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	changes, _ := s.plan(false, want("a"), want("b"))
	s.apply(changes)
	a, b := s.have[0], s.have[1]
	require.NotContains(t, string(a.Settings), "canary")
	require.NotEqual(t, a.SettingsSum, b.SettingsSum, "a sum does not tell that two have the same token")
	open, err := OpenSettings(s.keys, a)
	require.NoError(t, err)
	require.JSONEq(t, `{"token":"canary"}`, string(open.Reveal()))

	swapped := a
	swapped.Settings = b.Settings
	_, err = OpenSettings(s.keys, swapped)
	require.ErrorIs(t, err, secret.ErrNotSealed)
	moved := a
	moved.Patch, moved.Settings = a.Settings, nil
	_, err = OpenSettings(s.keys, moved)
	require.ErrorIs(t, err, secret.ErrNotSealed)
	_, err = OpenSettings(newSite(t).keys, a)
	require.ErrorIs(t, err, secret.ErrOtherKey)
	require.ErrorContains(t, err, "hint")

	for _, set := range []map[string][]byte{
		{"token": []byte(`"of the plugin"`), "account": []byte(`{"id":7}`), "gone": []byte(`1`)},
		{"gone": []byte("null")},
	} {
		a.Patch, err = SealPatch(s.keys, a, set)
		require.NoError(t, err)
	}
	open, err = OpenSettings(s.keys, a)
	require.NoError(t, err)
	require.JSONEq(t, `{"token":"canary","account":{"id":7}}`, string(open.Reveal()), "the user's key wins")
	_, err = SealPatch(s.keys, a, map[string][]byte{"x": []byte("{")})
	require.ErrorIs(t, err, store.ErrInvalid)
	_, err = SealPatch(s.keys, a, map[string][]byte{"x": []byte(`"` + strings.Repeat("x", maxSettings) + `"`)})
	require.ErrorIs(t, err, store.ErrLimit)
}

// rows: O43, O47
func TestMaskShowsWhatTheSchemaKnowsToBeNoSecret(t *testing.T) {
	t.Parallel()
	settings := []byte(`{"token":"canary-1","channels":["general"],"proxy":{"host":"p","password":"canary-2"},"thread_days":3,"unknown":["canary-3"]}`)
	masked, err := Mask(slackManifest().SettingsSchema, settings)
	require.NoError(t, err)
	require.JSONEq(t, `{"token":"***","channels":["general"],"proxy":{"host":"p","password":"***"},"thread_days":3,"unknown":["***"]}`, string(masked))
	masked, err = Mask(nil, settings)
	require.NoError(t, err)
	require.NotContains(t, string(masked), "general")
	require.Equal(t, []string{"canary-1", "canary-2"}, Secrets(slackManifest().SettingsSchema, settings))
	_, err = Mask(nil, []byte(`canary`))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "canary")
}

func TestNewUID(t *testing.T) {
	t.Parallel()
	require.Regexp(t, "^[0-9a-f]{16}$", NewUID())
	first, second := NewUID(), NewUID()
	require.NotEqual(t, first, second)
}

func TestProblemsAsJSON(t *testing.T) {
	t.Parallel()
	p := Problems{{Severity: SeverityWarning, Code: "x", Message: "m", File: "f", Line: 2, Col: 3, Source: "abc", Caret: 3, Help: "h"}}
	require.NoError(t, p.Err())
	raw, err := json.Marshal(p)
	require.NoError(t, err)
	require.JSONEq(t, `[{"severity":"warning","code":"x","message":"m","file":"f","line":2,"column":3,"source":"abc","caret":3,"help":"h"}]`, string(raw))
	require.Equal(t, "warning[x]: m\n  --> f:2:3\n 2 | abc\n   |   ^\n   = help: h", p.Error())
	require.Contains(t, p.Text(true), "\x1b[")
	hostile := Problems{{Severity: SeverityError, Code: "x", Message: "a\x1b[2Jb\n"}}
	require.Equal(t, "error[x]: a?[2Jb?", hostile.Error())
}
