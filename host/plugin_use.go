package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/discovery"
)

func (c *cli) pluginUseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "use NAME@VERSION",
		Short: "Go back to a version of a plugin that was approved before, or forth",
		Long: `Use makes a version of the plugin serve that was approved before and whose copy is
still there: the last three of each plugin are kept. Whatever its file in the plugin
directory is then, this version serves in its place and the file is "pinned", until
another version is used or the file is approved. The running daemon changes over as
to any other version. It needs trust: lock.`,
		Example: "  jackfield plugin use slack@1.4.1",
		Args:    exactArgs("NAME@VERSION"),
		RunE: func(_ *cobra.Command, args []string) error {
			return c.use(args[0])
		},
		ValidArgsFunction: c.complete(completePlugins),
	}
}

// used is what use has done.
type used struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	SHA256   string `json:"sha256"`
	Previous string `json:"previous"` // the version that was approved before
	Changed  bool   `json:"changed"`  // false: it was in use already
}

func (c *cli) use(target string) error {
	name, version, ok := strings.Cut(target, "@")
	if !ok || name == "" || version == "" {
		return usageError(fmt.Errorf("%q is not NAME@VERSION", target), "such as slack@1.4.1")
	}
	a, err := c.newApproval()
	if err != nil {
		return err
	}
	if a.host.Plugins.Trust != config.TrustLock {
		return failed(fmt.Errorf("use %s: with trust %s the plugin directory says which version serves", target, a.host.Plugins.Trust), "put the file of that version there")
	}
	u, err := a.use(name, version)
	if err != nil {
		return err
	}
	if u.Changed {
		if err := a.lock.Save(a.host.LockFile()); err != nil {
			return environmentError(err, "")
		}
	}
	return printDone(c, "used", []used{u}, func(t *table) {
		t.head("NAME", "VERSION", "DIGEST", "BEFORE", "USED")
		t.row(u.Name, u.Version, u.SHA256, u.Previous, nowOrBefore(u.Changed))
	})
}

// use puts the copy of a version into the lock, in the place of what there is.
func (a *approval) use(name, version string) (used, error) {
	entry, ok := a.lock.ByName(name)
	if !ok {
		return used{}, failed(fmt.Errorf("plugin %q is not approved", name), "jackfield plugin approve "+name)
	}
	u := used{Name: name, Version: version, SHA256: entry.SHA256, Previous: entry.Version}
	if entry.Version == version {
		return u, nil
	}
	digests, versions, err := discovery.Copies(a.host.Data, name, version)
	if len(digests) == 0 {
		if err != nil {
			return u, environmentError(err, "")
		}
		return u, failed(fmt.Errorf("there is no copy of %s %s", name, version), "there are: "+orElse(strings.Join(versions, ", "), "none"))
	}
	m, err := discovery.LoadManifest(a.host.Data, digests[0])
	if err != nil {
		return u, environmentError(err, "")
	}
	chosen := discovery.Entry{
		Name: name, Version: version, SHA256: digests[0], File: entry.File, Pinned: true, Hosts: m.Hosts,
		ApprovedAt: time.Now().UTC().Truncate(time.Second),
	}
	if _, folder := discovery.Folder(a.host.Data, digests[0]); folder {
		chosen.Runtime = entry.Runtime
	}
	for _, capability := range m.Capabilities {
		chosen.Capabilities = append(chosen.Capabilities, string(capability))
	}
	u.SHA256, u.Changed = digests[0], a.lock.Approve(chosen)
	return u, nil
}
