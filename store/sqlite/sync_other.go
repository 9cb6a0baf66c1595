//go:build !unix

package sqlite

// syncDir does nothing: such a system keeps names by itself.
func syncDir(string) error { return nil }
