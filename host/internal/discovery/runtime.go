package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// RuntimeOf returns the plugin whose program runs the package in a folder; empty if the
// package has a program of its own.
func RuntimeOf(folder string) (string, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return "", fmt.Errorf("open package: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	body, err := readBounded(root, packageFile, maxPackageFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &UnfitError{Verdict: VerdictIgnored, Reason: "it has no plugin.yaml, so it is no package", Hint: "name the program that was built"}
	}
	if err != nil {
		return "", err
	}
	d, err := parseDescription(body, "")
	return d.Runtime, err
}
