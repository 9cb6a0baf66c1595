package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: F07, K18
func TestHowAPluginIsExchangedMayChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tenants"), 0o700))
	file := write(t, filepath.Join(dir, "host.yaml"), "version: 1\n")
	running, problems := LoadHost(file, testOptions())
	require.Empty(t, problems)
	require.Equal(t, 5*time.Minute, running.Plugins.Probation)
	require.Equal(t, 20*time.Second, running.Plugins.Drain)
	require.Equal(t, IncompatibleRefuse, running.Plugins.OnIncompatible)

	write(t, file, "version: 1\nplugins: {probation: 24h, drain: 90s, on_incompatible: park}\n")
	snap := Load(file, Options{Running: &running})
	require.Empty(t, snap.Problems, "without a restart")
	require.Equal(t, 24*time.Hour, snap.Host.Plugins.Probation)
	require.Equal(t, 90*time.Second, snap.Host.Plugins.Drain)
	require.Equal(t, IncompatiblePark, snap.Host.Plugins.OnIncompatible)
	require.Equal(t, running.Plugins.Dir, snap.Host.Plugins.Dir)

	require.Equal(t, RemovedStop, running.Plugins.OnRemove)
	write(t, file, "version: 1\nplugins: {on_remove: keep}\n")
	fresh, problems := LoadHost(file, testOptions())
	require.Empty(t, problems)
	require.Equal(t, RemovedKeep, fresh.Plugins.OnRemove)
	snap = Load(file, Options{Running: &running})
	require.Equal(t, []string{CodeNeedsRestart}, codes(snap.Problems))
	require.Equal(t, RemovedStop, snap.Host.Plugins.OnRemove)
	write(t, file, "version: 1\nplugins: {on_remove: keep, trust: dir}\n")
	_, problems = LoadHost(file, testOptions())
	require.Contains(t, problems.Error(), "keep needs trust: lock")
}

// rows: C60
func TestWhenAPluginRestsMayChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tenants"), 0o700))
	file := write(t, filepath.Join(dir, "host.yaml"), "version: 1\nplugins: {slack: {idle: 1h}}\n")
	running, problems := LoadHost(file, testOptions())
	require.Empty(t, problems)
	require.Equal(t, time.Hour, running.Plugins.IdleOf("slack"))
	require.Equal(t, 10*time.Minute, running.Plugins.IdleOf("git"))

	write(t, file, "version: 1\nplugins: {idle: 2m, git: {idle: 0}, zendesk: {}, network: {slack: direct}}\n")
	snap := Load(file, Options{Running: &running})
	require.NotContains(t, snap.Problems.Error(), "idle", "without a restart")
	require.Equal(t, 2*time.Minute, snap.Host.Plugins.IdleOf("slack"))
	require.Zero(t, snap.Host.Plugins.IdleOf("git"))
	require.Equal(t, 2*time.Minute, snap.Host.Plugins.IdleOf("zendesk"))
	require.Equal(t, map[string]time.Duration{"git": 0}, snap.Host.Plugins.Idles)
}

// rows: K17
func TestConnectorsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	list := func(names ...string) []string { return names }
	for name, c := range map[string]struct {
		file                    []string // nil: it names none
		known                   []string // of the plugin; nil: that is not known
		had, offered            []string
		connectors, thenOffered []string
	}{
		"New":                          {nil, list("a", "b"), nil, nil, list("a", "b"), list("a", "b")},
		"NewWithAList":                 {list("b"), list("a", "b"), nil, nil, list("b"), list("a", "b")},
		"NewOfAnUnknownPlugin":         {nil, nil, nil, nil, nil, nil},
		"ThatIsKnownNow":               {nil, list("a", "b"), nil, nil, list("a", "b"), list("a", "b")},
		"OneMoreBeginsDisabled":        {nil, list("a", "b", "c"), list("a", "b"), list("a", "b"), list("a", "b"), list("a", "b")},
		"OneMoreThatIsNamed":           {list("a", "c"), list("a", "b", "c"), list("a", "b"), list("a", "b"), list("a", "c"), list("a", "b", "c")},
		"OneLessIsParked":              {nil, list("a"), list("a", "b"), list("a", "b"), list("a", "b"), list("a", "b")},
		"OneLessThatIsNamedToo":        {list("b"), list("a"), list("b"), list("a", "b"), list("b"), list("a", "b")},
		"WithoutItsListAllThatItKnows": {nil, list("a", "b", "c"), list("b"), list("a", "b"), list("a", "b"), list("a", "b")},
		"WhileThePluginIsUnknown":      {nil, nil, list("a"), list("a", "b"), list("a"), list("a", "b")},
		"NoneIsNone":                   {[]string{}, list("a"), list("a"), list("a"), []string{}, list("a")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Integration{Checked: c.known != nil, known: c.known, named: c.file != nil, Spec: store.IntegrationSpec{Connectors: c.file}}
			if c.file == nil {
				d.Spec.Connectors = c.known // as fit does
			}
			spec := d.Spec
			d.connect(&spec, store.Integration{IntegrationSpec: store.IntegrationSpec{Connectors: c.had, Offered: c.offered}})
			require.Equal(t, c.connectors, spec.Connectors)
			require.Equal(t, c.thenOffered, spec.Offered)
		})
	}
}

// rows: K17
func TestAConnectorThatIsGoneIsNoError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "host.yaml"), "version: 1\n")
	write(t, filepath.Join(dir, "tenants/a.yaml"), "tenant: a\nintegrations:\n  - {name: one, plugin: p, connectors: [things, tags]}\n")
	opts := Options{
		Plugins: func(string) (sdk.Manifest, bool) {
			return sdk.Manifest{Name: "p", Connectors: []sdk.Connector{{Name: "things"}}}, true
		},
		Had: func(name string) []string { return map[string][]string{"a/one": {"tags"}}[name] },
	}
	snap := Load(file, opts)
	require.Equal(t, []string{CodeConnectorGone}, codes(snap.Problems))
	require.False(t, snap.Problems.Failed())
	require.Equal(t, 3, snap.Problems[0].Line)
	require.Equal(t, []string{"things", "tags"}, snap.Integrations()[0].Spec.Connectors)
	opts.Had = nil
	require.Equal(t, []string{CodeUnknownConnector}, codes(Load(file, opts).Problems), "nobody knows of it")
}
