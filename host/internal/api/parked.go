package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// parked names the connectors of active integrations that the version of their plugin
// which serves has no more (K17): their cursors wait for one that has them again.
func (s *statusService) parked(ctx context.Context, plugins []Plugin) ([]string, error) {
	var reasons []string
	seen := map[string]bool{}
	for _, p := range plugins {
		m, known := s.deps.Plugins.Manifest(ctx, p.Name)
		if seen[p.Name] || !known || len(m.Connectors) == 0 || p.serves() < 3 {
			continue
		}
		seen[p.Name] = true
		has := convert(m.Connectors, func(c sdk.Connector) string { return c.Name })
		list, err := s.deps.Store.Integrations(ctx, store.IntegrationFilter{Plugin: p.Name, Beyond: has, Limit: maxFailing + 1})
		if err != nil {
			return reasons, err
		}
		for _, in := range list[:min(len(list), maxFailing)] {
			gone := slices.DeleteFunc(slices.Clone(in.Connectors), func(name string) bool { return slices.Contains(has, name) })
			reasons = append(reasons, s.opts.Redact(fmt.Sprintf("%s of %s are parked: version %s of plugin %s has them no more, and their cursors are kept (hint: jackfield plugin use %s@VERSION goes back to one that has them; or name them no more in %s)",
				"connectors "+strings.Join(gone, ", "), in.FullName(), m.Version, p.Name, p.Name, cmp.Or(in.File, "its file"))))
		}
		if len(list) > maxFailing {
			reasons = append(reasons, fmt.Sprintf("there are more integrations of plugin %s with connectors that are parked (hint: jackfield integration show TENANT/NAME)", p.Name))
		}
	}
	return reasons, nil
}
