package runner

import (
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// lacks reports whether a version of a plugin has a connector no more. One that says
// nothing of connectors lacks none.
func lacks(m sdk.Manifest, connector string) bool {
	return len(m.Connectors) > 0 && !slices.ContainsFunc(m.Connectors, func(c sdk.Connector) bool { return c.Name == connector })
}

// goneFrom says why a connector of the plugin is left out.
func goneFrom(m sdk.Manifest, connector string) store.Veto {
	return store.Veto{
		Connector: connector, Gone: true,
		Reason: fmt.Sprintf("version %s of plugin %s has no connector %q any more; its cursors are kept until it is back", m.Version, m.Name, connector),
	}
}

// gone returns the connectors of an integration that its plugin has no more (K17).
func gone(m sdk.Manifest, connectors []string) (out []store.Veto) {
	for _, c := range connectors {
		if lacks(m, c) {
			out = append(out, goneFrom(m, c))
		}
	}
	return out
}

// parted reports whether the stream is of a connector that the version which is called
// has no more, though the run was asked for it; then the run is told.
func (c *call) parted(in store.Stream, out *sink) bool {
	m := c.plugin.Manifest
	if !slices.Contains(c.run.Connectors, in.Connector) || !lacks(m, in.Connector) {
		return false
	}
	v := goneFrom(m, in.Connector)
	out.veto = &v
	return true
}

// had returns the connectors of the run that the version which is called still has.
func (c *call) had(connectors []string) []string {
	return slices.DeleteFunc(slices.Clone(connectors), func(name string) bool { return lacks(c.plugin.Manifest, name) })
}
