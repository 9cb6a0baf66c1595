package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// reach knows which files the settings of integrations name: their plugins may read
// them. What a plugin itself adds to settings grants it nothing.
type reach struct {
	integrations func(ctx context.Context, f store.IntegrationFilter) ([]store.Integration, error)
	keys         *secret.Keyring
	manifest     func(name string) (sdk.Manifest, bool)

	mu    sync.Mutex        // guards what follows
	reads map[string]string // by plugin: as supervisor.Access has them
	seen  map[string]int64  // by the id of an integration: its revision when it was looked at
}

// look reads the settings of all integrations whose plugin takes paths. Without an
// answer of the store what was known before stays.
func (r *reach) look(ctx context.Context, plugins []string) error {
	paths, seen := map[string][]string{}, map[string]int64{}
	for _, name := range plugins {
		m, ok := r.manifest(name)
		if !ok || !takesPaths(m) {
			continue
		}
		all, err := r.integrations(ctx, store.IntegrationFilter{Plugin: name, Limit: allIntegrations})
		if err != nil {
			return fmt.Errorf("read integrations of plugin %s: %w", name, err)
		}
		for _, in := range all {
			if !in.Enabled || !in.RemovedAt.IsZero() {
				continue
			}
			seen[in.UID] = in.Revision
			in.Patch = nil
			if plain, err := config.OpenSettings(r.keys, in); err == nil { // else its runs say so
				paths[name] = append(paths[name], existingOf(config.Paths(m.SettingsSchema, plain.Reveal()))...)
			}
		}
	}
	reads := map[string]string{}
	for name, list := range paths {
		slices.Sort(list)
		reads[name] = strings.Join(slices.Compact(list), "\n")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads, r.seen = reads, seen
	return nil
}

// of returns what the processes of a plugin may reach.
func (r *reach) of(name string) supervisor.Access {
	r.mu.Lock()
	defer r.mu.Unlock()
	return supervisor.Access{Reads: r.reads[name]}
}

// lacks reports whether a process with access may not read yet what the integration
// names, although it is to.
func (r *reach) lacks(m sdk.Manifest, in sdk.Integration, access supervisor.Access) bool {
	if in.Revision == 0 || !takesPaths(m) {
		return false
	}
	r.mu.Lock()
	wanted, looked := r.reads[m.Name], r.seen[in.ID] >= in.Revision
	r.mu.Unlock()
	have, want := strings.Split(access.Reads, "\n"), strings.Split(wanted, "\n")
	for _, path := range existingOf(config.Paths(m.SettingsSchema, in.Settings.Reveal())) {
		if !slices.Contains(have, path) && (!looked || slices.Contains(want, path)) {
			return true
		}
	}
	return false
}

// takesPaths reports whether any setting of a plugin may be a path.
func takesPaths(m sdk.Manifest) bool { return bytes.Contains(m.SettingsSchema, []byte(`"x-path"`)) }

// existingOf returns the paths that there are: nothing else can be granted.
func existingOf(paths []string) []string {
	return slices.DeleteFunc(paths, func(path string) bool {
		_, err := os.Stat(path)
		return err != nil || strings.ContainsRune(path, '\n')
	})
}
