package store

import "errors"

// The errors of a store. Drivers wrap them; test with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
	ErrInvalid  = errors.New("invalid")
	// ErrStale is the answer to a holder whose fence, claim, seq or generation is
	// no longer the current one. Nothing was written.
	ErrStale = errors.New("stale: the work belongs to somebody else now")
	// ErrRejected is the answer to a result that the database refuses by itself,
	// whoever applies it.
	ErrRejected = errors.New("apply rejected")
	// ErrPageLoop is the answer to a next page that the stream had before (K08).
	ErrPageLoop = errors.New("page loop")
	// ErrLimit is the answer to a result that passes a cap; the text names it.
	ErrLimit = errors.New("limit exceeded")
	// ErrPositionExpired is the answer to one who goes on from a position of the
	// feed while deletions after it are forgotten already.
	ErrPositionExpired = errors.New("position expired")
	// ErrLocked says that another process holds the data directory.
	ErrLocked = errors.New("data directory is in use")
	// ErrNewerSchema says that the database was written by a newer version.
	ErrNewerSchema = errors.New("database is of a newer version")
	// ErrOutcomeUnknown says that a commit failed and may have happened. The
	// process must end; the next start decides by looking.
	ErrOutcomeUnknown = errors.New("outcome of a commit is unknown")
	// ErrFull says that the disk is full; nothing was written.
	ErrFull = errors.New("disk is full")
	// ErrIO says that the database file cannot be read or written; nothing was
	// written.
	ErrIO = errors.New("database file cannot be used")
	// ErrDamaged says that the content of the database is not what was written.
	// Nothing is written on top of it.
	ErrDamaged = errors.New("database is damaged")
	// ErrClosed is the answer of a store that is closed.
	ErrClosed = errors.New("store is closed")
)

// HintError is an error with advice for the person who can cure it.
type HintError struct {
	Err  error
	Hint string
}

// Hint returns err with advice. It returns nil for nil.
func Hint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &HintError{Err: err, Hint: hint}
}

// Error returns the text with the hint behind it.
func (e *HintError) Error() string { return e.Err.Error() + " (hint: " + e.Hint + ")" }

// Unwrap returns the error that the hint is for.
func (e *HintError) Unwrap() error { return e.Err }
