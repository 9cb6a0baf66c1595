package main

import (
	"time"

	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// binaries returns what is to run of the files that were found. In the place of a
// program that failed in its probation that is the one which served before it; one
// that failed again and again afterwards is the supervisor's to try.
func (h *Host) binaries(found []discovery.Artifact) []supervisor.Binary {
	var out []supervisor.Binary
	for _, a := range found {
		if !a.Runnable() {
			continue
		}
		b := binaryOf(a)
		if _, bad := h.lifecycle.withdrawn(a.Digest); bad {
			good, ok := h.before(h.lifecycle.service(a.Name), b)
			if !ok {
				h.log.Error("a program that is withdrawn is not run, and there is none before it", "plugin", a.Name, "version", a.Version)
				continue
			}
			b = good
		}
		b.Access = h.reach.of(b.Name, "")
		out = append(out, b)
	}
	return out
}

// revive lets a plugin's program that is withdrawn or in quarantine be tried again, and
// returns it.
func (h *Host) revive(name string) (supervisor.Binary, bool) {
	if !h.lifecycle.release(name) {
		return supervisor.Binary{}, false
	}
	defer nudge(h.adapted) // whoever wants the one before by now is told again
	found, err := h.found.Last()
	if err != nil {
		h.log.Warn("read plugin directory", "error", err)
	}
	for _, b := range h.binaries(found) {
		if b.Name == name {
			return b, true
		}
	}
	return supervisor.Binary{}, false
}

// binaryOf is an artifact as the supervisor runs it.
func binaryOf(a discovery.Artifact) supervisor.Binary {
	return supervisor.Binary{Name: a.Name, Version: a.Version, Path: a.Staged, Digest: a.Digest, Folder: a.Folder, Program: a.Program}
}

// before returns the program that serves, or served, in the place of another. A folder
// goes back with the runtime that there is now.
func (h *Host) before(s store.PluginService, bad supervisor.Binary) (good supervisor.Binary, ok bool) {
	good = supervisor.Binary{Name: s.Plugin, Version: s.Version, Digest: s.Digest}
	if good.Digest == bad.Digest {
		good.Version, good.Digest = s.PreviousVersion, s.Previous
	}
	if good.Path, ok = discovery.Staged(h.config.Data, good.Digest); ok || bad.Folder == "" {
		return good, ok
	}
	good.Path, good.Program = bad.Path, bad.Program
	good.Folder, ok = discovery.Folder(h.config.Data, good.Digest)
	return good, ok
}

// manifestOf implements supervisor.Options.Manifest.
func (h *Host) manifestOf(digest string) (sdk.Manifest, bool) {
	m, err := discovery.LoadManifest(h.config.Data, digest)
	return m, err == nil
}

// resume implements supervisor.Options.Resume.
func (h *Host) resume(b supervisor.Binary) (previous supervisor.Binary, until time.Time, ok bool) {
	s := h.lifecycle.service(b.Name)
	if s.Digest != b.Digest || s.Previous == "" || !time.Now().Before(s.Probation) {
		return supervisor.Binary{}, time.Time{}, false
	}
	previous, ok = h.before(s, b)
	return previous, s.Probation, ok
}
