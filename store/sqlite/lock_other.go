//go:build !unix

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// lockDir refuses: without a lock two processes could write the same database.
func lockDir(context.Context, string) (*os.File, error) {
	return nil, fmt.Errorf("lock data directory: %w on %s", errors.ErrUnsupported, runtime.GOOS)
}

func unlockDir(f *os.File) error { return f.Close() }
