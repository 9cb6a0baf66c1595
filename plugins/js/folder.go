package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Bounds of what is read of a folder. Other files than those that functions can import
// are passed over.
const (
	maxSources     = 500
	maxSourceBytes = 4 << 20
)

// folder is what a function is made of: the files that it can import, by path.
type folder map[string][]byte

// readFolder reads the files that functions are made of.
func readFolder(from fs.FS) (folder, error) {
	files, total := folder{}, int64(0)
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "node_modules":
			return fs.SkipDir
		case !d.Type().IsRegular() || !source(name):
			return nil
		case len(files) >= maxSources:
			return fmt.Errorf("it has more than %d files of code", maxSources)
		}
		body, err := readFile(from, name, maxSourceBytes-total)
		if err != nil {
			return err
		}
		total += int64(len(body))
		files[name] = body
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read folder: %w", err)
	}
	return files, nil
}

// source reports a file that a function can import.
func source(name string) bool {
	return slices.Contains([]string{".ts", ".js", ".mjs", ".json"}, path.Ext(name))
}

func readFile(from fs.FS, name string, most int64) ([]byte, error) {
	f, err := from.Open(name)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	defer f.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(body)) > most {
		err = fmt.Errorf("%s: it is larger than the %d bytes that are left for it", name, most)
	}
	return body, err
}

// entry is the file that a function begins with.
func (f folder) entry() (string, error) {
	for _, name := range []string{"function.ts", "function.js"} {
		if _, ok := f[name]; ok {
			return name, nil
		}
	}
	return "", errors.New("the folder has neither function.ts nor function.js")
}

// resolve returns the file that an import in another file means.
func (f folder) resolve(what, importer string) (string, error) {
	if !strings.HasPrefix(what, "./") && !strings.HasPrefix(what, "../") {
		return "", fmt.Errorf("%q cannot be imported: a function imports files of its own folder alone, such as ./crm.ts", what)
	}
	place := path.Join(path.Dir(importer), what)
	if !fs.ValidPath(place) {
		return "", fmt.Errorf("%q is outside of the folder", what)
	}
	tries := []string{place, place + ".ts", place + ".js", place + ".json", place + ".d.ts", place + "/index.ts", place + "/index.js"}
	if bare, ok := strings.CutSuffix(place, ".js"); ok {
		tries = append(tries, bare+".ts")
	}
	for _, name := range tries {
		if _, ok := f[name]; ok {
			return name, nil
		}
	}
	return "", fmt.Errorf("%q is not in the folder", what)
}

// loadDir makes a plugin of the folder at dir.
func loadDir(dir string) (*functions, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	return load(root.FS())
}
