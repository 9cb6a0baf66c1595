package config

// Isolation says who shares a process of a plugin.
type Isolation string

// The ways to share one.
const (
	IsolationProcess Isolation = "process" // all tenants
	IsolationTenant  Isolation = "tenant"  // the integrations of one tenant
)

// The bounds of how many processes a plugin may have that has one for each tenant.
const (
	defaultProcesses = 32
	mostProcesses    = 1000
)

// IsolationOf returns who shares a process of the plugin.
func (d PluginDir) IsolationOf(plugin string) Isolation {
	if d.Isolation[plugin] == IsolationTenant {
		return IsolationTenant
	}
	return IsolationProcess
}
