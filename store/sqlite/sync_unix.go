//go:build unix

package sqlite

import (
	"errors"
	"os"
)

// syncDir has the names in a directory reach the disk.
func syncDir(path string) error {
	d, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
