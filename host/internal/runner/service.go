package runner

import (
	"context"
	"fmt"
	"maps"
)

// servicePlace is where a value of the service state is sealed for.
func (w *lane) servicePlace(key string) []string {
	return []string{w.in.Tenant, w.in.Plugin, "service:" + key}
}

// loadService reads what the plugin keeps for the tenant's integrations of it. It
// is read once a claim of the lane: what other integrations change meanwhile is
// seen by the next one.
func (w *lane) loadService(ctx context.Context) error {
	sealed, err := w.r.db.Services(ctx, w.in.TenantID, w.in.Plugin)
	if err != nil || len(sealed) == 0 {
		return err
	}
	service := make(map[string][]byte, len(sealed))
	for key, value := range sealed {
		if service[key], err = w.r.vault.Open(value, w.servicePlace(key)...); err != nil {
			return fmt.Errorf("service state %s: %w", key, err)
		}
	}
	w.served(service)
	return nil
}

// sealService seals changes of the service state.
func (w *lane) sealService(changes map[string][]byte) (map[string][]byte, error) {
	sealed := make(map[string][]byte, len(changes))
	for key, value := range changes {
		var err error
		if sealed[key], err = w.r.vault.Seal(value, w.servicePlace(key)...); err != nil {
			return nil, fmt.Errorf("service state %s: %w", key, err)
		}
	}
	return sealed, nil
}

// served takes over changes that the store has now.
func (w *lane) served(changes map[string][]byte) {
	if len(changes) == 0 {
		return
	}
	w.patching.Lock()
	defer w.patching.Unlock()
	next := maps.Clone(w.service) // calls under way read the old one
	merge(&next, changes)
	w.service = next
}

// serviceState returns the service state. It is not written to.
func (w *lane) serviceState() map[string][]byte {
	w.patching.Lock()
	defer w.patching.Unlock()
	return w.service
}
