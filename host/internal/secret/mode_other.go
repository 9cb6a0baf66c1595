//go:build !unix

package secret

import "io/fs"

// checkMode accepts any mode: the bits do not tell who reads the file here.
func checkMode(string, fs.FileMode) error { return nil }

// syncDir does nothing: directories cannot be synced here.
func syncDir(string) error { return nil }
