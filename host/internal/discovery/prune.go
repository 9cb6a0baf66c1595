package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// prune removes copies that keep does not name, but the newest few of each plugin,
// which serve a return to an earlier version, and with leftovers what was cut short:
// somebody may be making a copy just now, but not when the host starts.
func (s *Scanner) prune(keep func(digest string) bool, leftovers bool) error {
	kept, err := LoadManifests(s.opts.Data)
	nameOf := func(digest string) string { return kept[digest].Name }
	return errors.Join(err,
		pruneDir(s.cas.dir, keep, nameOf, leftovers),
		pruneDir(s.folders.dir, keep, nameOf, leftovers),
		pruneDir(filepath.Join(s.opts.Data, unpackedDir), func(digest string) bool { return s.unpacks[digest] }, func(string) string { return "" }, leftovers))
}

// pruneDir prunes a directory whose entries are named by their digests.
func pruneDir(dir string, keep func(digest string) bool, nameOf func(digest string) string, leftovers bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read plugin store: %w", err)
	}
	var errs []error
	unused := map[string][]fs.FileInfo{}
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil || keep(e.Name()):
		case validDigest(e.Name()):
			name := nameOf(e.Name())
			unused[name] = append(unused[name], info)
		case leftovers && strings.HasPrefix(e.Name(), ".stage-"):
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	for _, copies := range unused {
		slices.SortFunc(copies, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
		for _, info := range copies[min(keepUnused, len(copies)):] {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, info.Name())))
		}
	}
	return errors.Join(errs...)
}
