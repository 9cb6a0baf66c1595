package main

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Tell the version of this program",
		Args:  noArgs(),
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if c.output != "table" {
				return c.printValue(object{
					{"version", b.version},
					{"revision", b.revision},
					{"modified", b.modified},
					{"go", runtime.Version()},
					{"platform", runtime.GOOS + "/" + runtime.GOARCH},
				})
			}
			return c.printTable(func(t *table) {
				t.fact("jackfield", b.version)
				t.fact("revision", b.revision)
				t.fact("go", runtime.Version())
				t.fact("platform", runtime.GOOS+"/"+runtime.GOARCH)
			})
		},
	}
}

// build is what the compiler wrote into the binary.
type build struct {
	version  string
	revision string
	modified bool
}

func readBuild() build {
	b := build{version: "devel"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.revision = s.Value
		case "vcs.modified":
			b.modified = s.Value == "true"
		}
	}
	return b
}

// release is the version that packages may ask for (min_host), such as 0.3.0; empty of a
// program that was built from no release.
func (b build) release() string {
	version, _, _ := strings.Cut(strings.TrimPrefix(b.version, "v"), "+")
	if version == "devel" || strings.HasPrefix(version, "0.0.0-") {
		return ""
	}
	return version
}
