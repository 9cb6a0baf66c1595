package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (c *cli) pluginRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a plugin's file out of the plugin directory, and its approval back",
		Long: `Remove deletes the plugin's file or folder in the plugin directory, with its
signature, and takes its entry out of plugins.lock. Its process ends when its calls
have; its integrations are parked, keep their records, and go on when the plugin is
installed again. It needs no daemon; one that runs follows by itself.`,
		Args: exactArgs("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			return c.remove(args[0])
		},
		ValidArgsFunction: c.complete(completePlugins),
	}
}

// removed is what remove has done.
type removed struct {
	Name     string `json:"name"`
	File     string `json:"file"`     // empty: there was none
	Approved bool   `json:"approved"` // it was
}

func (c *cli) remove(name string) error {
	a, err := c.newApproval()
	if err != nil {
		return err
	}
	r := removed{Name: name}
	if entry, ok := a.lock.ByName(name); ok && entry.File != "" {
		r.File = filepath.Join(a.host.Plugins.Dir, entry.File)
	} else if path, err := a.find(name); err == nil && filepath.Dir(path) == filepath.Clean(a.host.Plugins.Dir) {
		r.File = path
	}
	if _, err := os.Lstat(r.File); errors.Is(err, fs.ErrNotExist) {
		r.File = ""
	}
	if r.File != "" {
		if err := errors.Join(os.RemoveAll(r.File), os.RemoveAll(r.File+".minisig")); err != nil {
			return environmentError(fmt.Errorf("remove plugin %s: %w", name, err), "")
		}
	}
	if r.Approved = a.lock.Remove(name); r.Approved {
		if err := a.lock.Save(a.host.LockFile()); err != nil {
			return environmentError(err, "")
		}
	}
	if r.File == "" && !r.Approved {
		return failed(fmt.Errorf("there is no plugin %q", name), "jackfield plugin list")
	}
	return printDone(c, "removed", []removed{r}, func(t *table) {
		t.head("NAME", "FILE", "APPROVED")
		t.row(r.Name, orElse(r.File, "-"), r.Approved)
	})
}
