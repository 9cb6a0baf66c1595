package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// openKeys opens the key file. A new one is made only for a store without
// integrations: beside what another key has sealed it would hide that this
// cannot be opened any more, and from then on there would be two keys.
func openKeys(ctx context.Context, cfg config.Host, db *sqlite.DB) (*secret.Keyring, error) {
	kept, err := db.Integrations(ctx, store.IntegrationFilter{Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("read integrations: %w", err)
	}
	if _, err := os.Stat(cfg.Key); len(kept) > 0 && errors.Is(err, fs.ErrNotExist) {
		return nil, sealedElsewhere(fmt.Errorf("open key: %s is missing, and %s holds what it has sealed", cfg.Key, cfg.Data))
	}
	keys, err := secret.OpenKeyring(cfg.Key, cfg.Data)
	if err != nil {
		return nil, fmt.Errorf("open key: %w", err)
	}
	for _, in := range kept {
		if _, err := config.OpenSettings(keys, in); errors.Is(err, secret.ErrOtherKey) {
			return nil, sealedElsewhere(fmt.Errorf("open key: %w", err))
		}
	}
	return keys, nil
}

// sealedElsewhere says how to come by the right key.
func sealedElsewhere(err error) error {
	return store.Hint(err, "put back your copy of the key file, with mode 0400; without it what is sealed is lost, and the data has to be imported anew into an empty directory")
}
