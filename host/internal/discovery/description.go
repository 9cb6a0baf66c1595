package discovery

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v4"
)

// packageSchema is the version of plugin.yaml that is read.
const packageSchema = 1

// description is plugin.yaml: what a package says of itself.
type description struct {
	Schema  int    `yaml:"schema"`
	Name    string `yaml:"name"`    // of the plugin
	Version string `yaml:"version"` // likewise
	// MinHost is the oldest host that the package is for.
	MinHost string `yaml:"min_host"`
	// Executables are the programs by system and processor, such as linux_amd64, with
	// their paths in the package.
	Executables map[string]string `yaml:"executables"`
	// Runtime is the plugin whose program runs this folder, instead of executables.
	Runtime string `yaml:"runtime"`
	// Manifest is what the folder says of itself to its runtime, which reads it.
	Manifest map[string]any `yaml:"manifest"`
}

// fault is one thing that is wrong in plugin.yaml.
type fault struct {
	key  []string // where: the whole file if it is empty
	text string
}

// parseDescription reads plugin.yaml strictly, for a host of this version; any host if
// it is empty. What is for a newer host may say what this one does not know.
func parseDescription(body []byte, host string) (description, error) {
	var d description
	err := yaml.Load(body, &d, yaml.WithKnownFields(), yaml.WithUniqueKeys())
	if newer := d.needs(body, host); newer != nil {
		return d, newer
	}
	if err != nil {
		return d, badPackage(packageFile+": "+yamlText(err), "mend "+packageFile)
	}
	if faults := d.faults(); len(faults) > 0 {
		return d, badPackage(packageFile+": "+faults[0].text, "mend "+packageFile)
	}
	return d, nil
}

// needs says which host the package is for, if this one is older.
func (d *description) needs(body []byte, host string) error {
	var said struct {
		Name    string `yaml:"name"`
		Version string `yaml:"version"`
		MinHost string `yaml:"min_host"`
	}
	_ = yaml.Load(body, &said) // the strict reading tells what is wrong
	if host == "" || !goodRelease(said.MinHost) || compareVersions(said.MinHost, host) <= 0 {
		return nil
	}
	if ValidName(said.Name) && ValidVersion(said.Version) {
		d.Name, d.Version = said.Name, said.Version
	}
	return &UnfitError{
		Verdict: VerdictOldHost,
		Reason:  fmt.Sprintf("it needs a host of version %s, and this one is %s", said.MinHost, host),
		Hint:    fmt.Sprintf("update jackfield to %s, or use a version of the plugin that is for %s", said.MinHost, host),
	}
}

// goodRelease reports a version that can be compared, such as 0.3.0.
func goodRelease(s string) bool { return ValidVersion(s) && isDigit(s[0]) }

// faults is everything that is wrong with what was read.
func (d *description) faults() (all []fault) {
	add := func(wrong bool, key, text string, args ...any) {
		if wrong {
			all = append(all, fault{[]string{key}, fmt.Sprintf(text, args...)})
		}
	}
	folder := d.Runtime != ""
	add(d.Schema != packageSchema, "schema", "schema %d is not supported, want %d", d.Schema, packageSchema)
	add(!ValidName(d.Name), "name", "name: %.64q is no plugin name", d.Name)
	add(!ValidVersion(d.Version), "version", "version: %.64q is no version", d.Version)
	add(d.MinHost != "" && !goodRelease(d.MinHost), "min_host", "min_host: %.64q is no version such as 0.3.0", d.MinHost)
	add(!folder && len(d.Executables) == 0, "", "it names neither executables nor a runtime")
	add(folder && len(d.Executables) > 0, "runtime", "it names both executables and a runtime")
	add(!folder && d.Manifest != nil, "manifest", "manifest: only a folder that a runtime runs has one; a program tells its own")
	add(folder && (!ValidName(d.Runtime) || d.Runtime == d.Name), "runtime", "runtime: %.64q is no other plugin's name", d.Runtime)
	for _, platform := range slices.Sorted(maps.Keys(d.Executables)) {
		if file := d.Executables[platform]; !goodPath(file) {
			all = append(all, fault{[]string{"executables", platform}, fmt.Sprintf("executables: %.32s: %.64q is no path in the package", platform, file)})
		}
	}
	return all
}
