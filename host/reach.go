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
	perTenant    func(name string) bool // whether each tenant has a process of the plugin

	mu    sync.Mutex        // guards what follows
	reads map[served]string // as supervisor.Access has them
	seen  map[string]int64  // by the id of an integration: its revision when it was looked at
}

// served is for whom a process works.
type served struct{ plugin, tenant string } // no tenant: for all

// serving returns for whom the process of a plugin works that serves a tenant.
func (r *reach) serving(plugin, tenant string) served {
	if r.perTenant(plugin) {
		return served{plugin, tenant}
	}
	return served{plugin: plugin}
}

// look reads the settings of all integrations whose plugin takes paths. Without an
// answer of the store what was known before stays.
func (r *reach) look(ctx context.Context, plugins []string) error {
	paths, seen := map[served][]string{}, map[string]int64{}
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
				to := r.serving(name, in.Tenant)
				paths[to] = append(paths[to], existingOf(config.Paths(m.SettingsSchema, plain.Reveal()))...)
			}
		}
	}
	reads := map[served]string{}
	for to, list := range paths {
		slices.Sort(list)
		reads[to] = strings.Join(slices.Compact(list), "\n")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads, r.seen = reads, seen
	return nil
}

// of returns what the process of a plugin may reach that serves the tenant; without
// one that is what the process of all may.
func (r *reach) of(name, tenant string) supervisor.Access {
	r.mu.Lock()
	defer r.mu.Unlock()
	return supervisor.Access{Reads: r.reads[r.serving(name, tenant)]}
}

// lacks reports whether a process with access may not read yet what the integration
// names, although it is to.
func (r *reach) lacks(m sdk.Manifest, in sdk.Integration, access supervisor.Access) bool {
	if in.Revision == 0 || !takesPaths(m) {
		return false
	}
	r.mu.Lock()
	wanted, looked := r.reads[r.serving(m.Name, in.Tenant)], r.seen[in.ID] >= in.Revision
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
