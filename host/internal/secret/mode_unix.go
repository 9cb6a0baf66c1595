//go:build unix

package secret

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/jackfield/jackfield/store"
)

// checkMode refuses a key file that others than its owner can read or write.
func checkMode(path string, mode fs.FileMode) error {
	if mode.Perm()&0o077 == 0 {
		return nil
	}
	return store.Hint(fmt.Errorf("key file %s has mode %04o: others can use it", path, mode.Perm()), "chmod 400 "+path)
}

// syncDir makes the directory's entries durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // of the key file
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
