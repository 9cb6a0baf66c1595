package supervisor

import "strings"

// pluginEnv picks the variables of the handshake out of go-plugin's. The rest
// is ours: see Options.environ.
func pluginEnv(env []string) []string {
	var picked []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case name == socketDirEnv:
			// go-plugin's has a longer path than ours
		case strings.HasPrefix(name, "PLUGIN_"), strings.HasPrefix(name, "JACKFIELD_"):
			picked = append(picked, kv)
		}
	}
	return picked
}
