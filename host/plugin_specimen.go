package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/supervisor"
)

// specimen returns what plugin test starts for a path: the program, or private copies of
// a package and of what runs it. cleanup removes these.
func (c *cli) specimen(path, runtime string) (b supervisor.Binary, cleanup func(), err error) {
	cleanup = func() {}
	info, err := os.Stat(path)
	if err != nil {
		return b, cleanup, usageError(fmt.Errorf("plugin: %w", err), "name the program that was built")
	}
	if !info.IsDir() {
		if runtime != "" {
			return b, cleanup, usageError(fmt.Errorf("%s is no folder: nothing runs it but itself", path), "leave --runtime out")
		}
		return supervisor.Binary{Path: path}, cleanup, nil
	}
	name, err := discovery.RuntimeOf(path)
	if unfit, ok := errors.AsType[*discovery.UnfitError](err); ok {
		return b, cleanup, usageError(fmt.Errorf("plugin %s: %s", path, unfit.Reason), unfit.Hint)
	}
	if err != nil {
		return b, cleanup, environmentError(err, "")
	}
	if name == "" && runtime != "" {
		return b, cleanup, usageError(fmt.Errorf("plugin %s has a program of its own", path), "leave --runtime out")
	}
	data, err := os.MkdirTemp("", "jackfield-test-")
	if err != nil {
		return b, cleanup, environmentError(err, "")
	}
	cleanup = func() { _ = os.RemoveAll(data) }
	var lock discovery.Lock
	if name != "" {
		entry, err := c.runtime(data, name, runtime)
		if err != nil {
			return b, cleanup, err
		}
		lock.Approve(entry)
	}
	a, err := discovery.Take(data, readBuild().release(), lock, path)
	if unfit, ok := errors.AsType[*discovery.UnfitError](err); ok {
		return b, cleanup, usageError(fmt.Errorf("plugin %s: %s", path, unfit.Reason), unfit.Hint)
	}
	if err != nil {
		return b, cleanup, environmentError(err, "")
	}
	return supervisor.Binary{Name: a.Name, Version: a.Version, Path: a.Staged, Folder: a.Folder}, cleanup, nil
}

// runtime copies the program that runs a folder: the one that is named, or the approved
// one of the site.
func (c *cli) runtime(data, name, file string) (entry discovery.Entry, err error) {
	if file == "" {
		hint := "name its program with --runtime, or jackfield plugin approve " + name
		a, err := c.newApproval()
		if err != nil {
			return entry, usageError(fmt.Errorf("plugin %s runs it, and there is no site here that approved one", name), hint)
		}
		approved, _ := a.lock.ByName(name)
		var found bool
		if file, found = discovery.Staged(a.host.Data, approved.SHA256); !found {
			return entry, usageError(fmt.Errorf("plugin %s, which runs it, is not approved here", name), hint)
		}
	}
	if file, err = filepath.Abs(file); err != nil {
		return entry, environmentError(err, "")
	}
	_, digest, size, err := discovery.Stage(data, file)
	if err != nil {
		return entry, usageError(fmt.Errorf("runtime %s: %w", file, err), "")
	}
	return discovery.Entry{Name: name, Version: "0", SHA256: digest, Size: size}, nil
}
