package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// Stay is something in a folder of versions that is none of the plugin's.
type Stay struct {
	File string // its place, such as slack/notes
	Why  string
}

// PlacesOf returns where the plugin is in the directory, the oldest version first: its
// programs and archives, as their names say, and the packages that name it, each
// version in a folder of versions too. What else is in such a folder stays.
func PlacesOf(dir, name string) (own []string, stay []Stay, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open plugin directory: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, nil, fmt.Errorf("read plugin directory: %w", err)
	}
	for _, e := range entries {
		var others []Stay
		found := len(own)
		for _, place := range places(root, e) {
			of, why := whose(root, e, place)
			switch {
			case of == name:
				own = append(own, place)
			case path.Dir(place) != ".":
				others = append(others, Stay{place, why})
			}
		}
		if len(own) > found {
			stay = append(stay, others...)
		}
	}
	slices.SortStableFunc(own, func(a, b string) int { return compareVersions(path.Base(a), path.Base(b)) })
	return own, stay, nil
}

// whose returns the plugin's name that a place says, and how that can be told.
func whose(root *os.Root, e fs.DirEntry, place string) (name, why string) {
	if !e.IsDir() {
		if temporary(e.Name()) != "" {
			return "", temporary(e.Name())
		}
		return NameOf(e.Name()), "its name"
	}
	folder, err := root.OpenRoot(filepath.FromSlash(place))
	if err != nil {
		return "", "it cannot be opened: " + cause(err)
	}
	defer folder.Close() //nolint:errcheck // read only
	body, err := readBounded(folder, packageFile, maxPackageFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errNoPackage.Error()
	}
	if err != nil {
		return "", err.Error()
	}
	d, err := parseDescription(body, "")
	if err != nil {
		return "", err.Error()
	}
	return d.Name, "it is a version of plugin " + d.Name
}
