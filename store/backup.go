package store

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Backup tells of a copy of the store that was checked.
type Backup struct {
	Path   string
	Bytes  int64
	Schema int
	Took   time.Duration
}

// Examination is what a look at the whole database came to.
type Examination struct {
	Path   string
	Deep   bool // indexes were compared with their tables
	Schema int
	Took   time.Duration
	Checks []Check
}

// Check is one thing that was looked at.
type Check struct {
	Name     string
	Problems []string // the first ones; none if all is well
}

// Err returns an ErrDamaged that says what was found, or nil.
func (e Examination) Err() error {
	var errs []error
	for _, c := range e.Checks {
		if len(c.Problems) > 0 {
			errs = append(errs, fmt.Errorf("%s: %s", c.Name, strings.Join(c.Problems, "; ")))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", e.Path, ErrDamaged, errors.Join(errs...))
}

// Restoration tells what Restore did.
type Restoration struct {
	Backup          // what the data directory holds now
	Kept   []string // the files that it held before, under the names they have now
}
