package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/discovery"
)

func (c *cli) pluginRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a plugin's files out of the plugin directory, and its approval back",
		Long: `Remove deletes every version of the plugin in the plugin directory, with the
signatures, and takes its entry out of plugins.lock. A version is a program or an
archive that is called after the plugin, such as slack_v1.4.1, or a package that names
it, alone or in a folder of versions. What is approved as another plugin is kept, and
so is what else is in a folder of versions; it says so. Its process ends when its
calls have; its integrations are parked, keep their records, and go on when the plugin
is installed again. It needs no daemon; one that runs follows by itself.`,
		Args: exactArgs("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			return c.remove(args[0])
		},
		ValidArgsFunction: c.complete(completePlugins),
	}
}

// removed is what remove has done.
type removed struct {
	Name     string   `json:"name"`
	File     string   `json:"file"`     // the approved or the newest one; empty: there was none
	Approved bool     `json:"approved"` // it was
	Files    []string `json:"files"`    // that were deleted: each version
	Kept     []kept   `json:"kept"`     // of what is beside them
}

// kept is what remove leaves.
type kept struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

func (c *cli) remove(name string) error {
	a, err := c.newApproval()
	if err != nil {
		return err
	}
	r, err := a.places(name)
	if err != nil {
		return environmentError(fmt.Errorf("remove plugin %s: %w", name, err), "")
	}
	for _, file := range r.Files {
		if err := errors.Join(os.RemoveAll(file), os.RemoveAll(file+".minisig"), os.RemoveAll(file+".sha256")); err != nil {
			return environmentError(fmt.Errorf("remove plugin %s: %w", name, err), "")
		}
		if folder := filepath.Dir(file); folder != filepath.Clean(a.host.Plugins.Dir) {
			_ = os.Remove(folder) // of versions, if it is empty by now
		}
	}
	if r.Approved = a.lock.Remove(name); r.Approved {
		if err := a.lock.Save(a.host.LockFile()); err != nil {
			return environmentError(err, "")
		}
	}
	if len(r.Files) == 0 && !r.Approved {
		return failed(fmt.Errorf("there is no plugin %q", name), "jackfield plugin list")
	}
	for _, k := range r.Kept {
		c.tell("%s is kept: %s", k.File, k.Reason)
	}
	return printDone(c, "removed", []removed{r}, func(t *table) {
		t.head("NAME", "FILE", "APPROVED")
		for _, file := range r.Files {
			t.row(r.Name, file, r.Approved && file == r.File)
		}
		if len(r.Files) == 0 {
			t.row(r.Name, "-", r.Approved)
		}
	})
}

// places returns what there is of a plugin in its directory. The approved file comes
// last: what serves is not replaced by an older version meanwhile.
func (a *approval) places(name string) (removed, error) {
	dir := a.host.Plugins.Dir
	r := removed{Name: name, Files: []string{}, Kept: []kept{}}
	own, stay, err := discovery.PlacesOf(dir, name)
	if err != nil {
		return r, err
	}
	entry, _ := a.lock.ByName(name)
	if entry.File != "" && !slices.Contains(own, entry.File) {
		if _, err := os.Lstat(filepath.Join(dir, entry.File)); err == nil {
			own = append(own, entry.File)
			stay = slices.DeleteFunc(stay, func(s discovery.Stay) bool { return s.File == entry.File })
		}
	}
	for _, place := range own {
		file := filepath.Join(dir, filepath.FromSlash(place))
		if other, ok := a.lock.ByFile(place); ok && other.Name != name {
			r.Kept = append(r.Kept, kept{file, "it is approved as plugin " + other.Name})
			continue
		}
		if place == entry.File {
			r.File = file
			continue
		}
		r.Files = append(r.Files, file)
	}
	switch {
	case r.File != "":
		r.Files = append(r.Files, r.File)
	case len(r.Files) > 0:
		r.File = r.Files[len(r.Files)-1] // the newest
	}
	for _, s := range stay {
		r.Kept = append(r.Kept, kept{filepath.Join(dir, filepath.FromSlash(s.File)), s.Why})
	}
	return r, nil
}
