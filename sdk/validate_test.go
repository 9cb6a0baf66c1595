package sdk_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

func manifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "slack", Label: "Slack", Version: "1.4.2", Kind: sdk.KindCombined, Icon: "data:image/svg+xml;base64,AAAA",
		SettingsSchema: []byte(`{"type":"object"}`), Connectors: []sdk.Connector{{Name: "members"}},
		Capabilities: []sdk.Capability{sdk.CanInvoke}, Hooks: []string{"call.started"},
		State: sdk.StateVersions{Writes: 1, Reads: []int{1}},
	}
}

func TestManifestValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, manifest().Validate())
	for name, c := range map[string]struct {
		change func(*sdk.Manifest)
		want   string
	}{
		"Name":       {func(m *sdk.Manifest) { m.Name = "Slack" }, `name "Slack"`},
		"LongName":   {func(m *sdk.Manifest) { m.Name = strings.Repeat("x", 64) }, "name"},
		"Label":      {func(m *sdk.Manifest) { m.Label = "sl" }, `label "sl"`},
		"LongLabel":  {func(m *sdk.Manifest) { m.Label = strings.Repeat("ü", 256) }, "3 to 255"},
		"Version":    {func(m *sdk.Manifest) { m.Version = "1 2" }, `version "1 2"`},
		"Icon":       {func(m *sdk.Manifest) { m.Icon = "https://example.com/x.png" }, "icon"},
		"Kind":       {func(m *sdk.Manifest) { m.Kind = "magic" }, `kind "magic"`},
		"Connectors": {func(m *sdk.Manifest) { m.Connectors = nil }, "at least one"},
		"Connector":  {func(m *sdk.Manifest) { m.Connectors[0].Name = "" }, `connectors[0] ""`},
		"Twice":      {func(m *sdk.Manifest) { m.Connectors = append(m.Connectors, m.Connectors[0]) }, "named twice"},
		"NoKinds":    {func(m *sdk.Manifest) { m.Connectors[0].CompleteListing = true }, "complete_listing and kinds need each other"},
		"NoListing":  {func(m *sdk.Manifest) { m.Connectors[0].Kinds = []string{"member"} }, "complete_listing and kinds need each other"},
		"KindTwice": {func(m *sdk.Manifest) {
			m.Connectors = []sdk.Connector{
				{Name: "a", CompleteListing: true, Kinds: []string{"member"}}, {Name: "b", CompleteListing: true, Kinds: []string{"member"}},
			}
		}, `kind "member" is listed completely by "a" already`},
		"Capability": {func(m *sdk.Manifest) { m.Capabilities = append(m.Capabilities, "fly") }, `"fly": unknown`},
		"NoInvoke":   {func(m *sdk.Manifest) { m.Capabilities = nil }, "need invoke"},
		"Hooks":      {func(m *sdk.Manifest) { m.Hooks = append(m.Hooks, "call.started") }, "hooks[1]"},
		"Schema":     {func(m *sdk.Manifest) { m.SettingsSchema = []byte(`[]`) }, "settings schema"},
		"Limits":     {func(m *sdk.Manifest) { m.Limits.PerRun = -1 }, "limits"},
		"State":      {func(m *sdk.Manifest) { m.State.Writes = 2 }, "version 2 is written but not read"},
		"MayWrite":   {func(m *sdk.Manifest) { m.State.MayWrite = []int{0} }, "version 0 may be written but is not read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := manifest()
			c.change(&m)
			require.ErrorContains(t, m.Validate(), c.want)
		})
	}
}
