package sdk

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// CodeTooLarge is the code of a record that is left out because it is over
// MaxRecord.
const CodeTooLarge = "record_too_large"

// TooLargeError says that a record is over MaxRecord. The Emitter and the host
// make a warning of it and go on with the rest.
type TooLargeError struct {
	Kind, ID string
	Size     int
	Digest   string // SHA-256 of its data in hex: tells whether it is the same the next time
}

// Error returns the facts behind CodeTooLarge.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s: %s %s has %d bytes, %d are allowed (sha256 %s)", CodeTooLarge, e.Kind, e.ID, e.Size, MaxRecord, e.Digest)
}

// Fits returns a *TooLargeError for data that no record may have.
func Fits(kind, id string, data []byte) error {
	if len(data) > MaxRecord {
		return tooLarge(kind, id, data)
	}
	return nil
}

func tooLarge(kind, id string, data []byte) error {
	sum := sha256.Sum256(data)
	return &TooLargeError{Kind: kind, ID: id, Size: len(data), Digest: hex.EncodeToString(sum[:])}
}

// tooLargeAs is tooLarge for what is known by the JSON of v.
func tooLargeAs(kind, id string, v any) error {
	data, err := Marshal(v)
	if err != nil {
		return invalid("%s %s: %v", kind, id, err)
	}
	return tooLarge(kind, id, data)
}

func (r *Record) fits() error {
	if !r.Delete && r.size() > MaxRecord {
		return tooLarge(r.Kind, r.ID, r.Data)
	}
	return nil
}

func (m *Member) fits() error {
	_, err := m.check()
	return err
}

func (a *Activity) fits() error {
	_, err := a.check()
	return err
}
