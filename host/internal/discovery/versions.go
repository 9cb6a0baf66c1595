package discovery

import (
	"cmp"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// places returns what an entry of the plugin directory stands for: itself, or the
// versions in a folder that holds a package for each, such as slack/1.4.2, and is none
// itself.
func places(root *os.Root, e fs.DirEntry) []string {
	if e.IsDir() && !transient(e.Name()) {
		if inside := versionsIn(root.FS(), e.Name()); len(inside) > 0 {
			return inside
		}
	}
	return []string{e.Name()}
}

// versionsIn returns the folders in a folder of the plugin directory, if it is no
// package and one of them is: the others have a verdict then, too.
func versionsIn(dir fs.FS, folder string) []string {
	if _, err := fs.Stat(dir, path.Join(folder, packageFile)); err == nil {
		return nil
	}
	entries, err := fs.ReadDir(dir, folder)
	if err != nil {
		return nil // it is examined, and says so
	}
	var found []string
	packages := false
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		place := path.Join(folder, e.Name())
		_, err := fs.Stat(dir, path.Join(place, packageFile))
		packages = packages || err == nil
		found = append(found, place)
	}
	if !packages {
		return nil
	}
	return found
}

// Place returns what a path is called within a plugin directory: the name of the file,
// or of the folder and the version, such as slack/1.4.2. A path elsewhere is called by
// its last name.
func Place(dir, file string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return filepath.Base(file)
	}
	inside, err := filepath.Rel(dir, file)
	if err != nil || !inPlace(filepath.ToSlash(inside)) {
		return filepath.Base(file)
	}
	return filepath.ToSlash(inside)
}

// inPlace reports a name of something in the plugin directory, or of a version in a
// folder there.
func inPlace(file string) bool { return goodPath(file) && strings.Count(file, "/") <= 1 }

// Siblings reports whether two places are versions in one folder.
func Siblings(a, b string) bool { return path.Dir(a) == path.Dir(b) && path.Dir(a) != "." }

// Newest returns the path of the newest version in a folder of versions; false if the
// folder is none.
func Newest(folder string) (string, bool) {
	dir := os.DirFS(filepath.Dir(folder))
	found := slices.DeleteFunc(versionsIn(dir, filepath.Base(folder)), func(place string) bool {
		_, err := fs.Stat(dir, path.Join(place, packageFile))
		return err != nil
	})
	if len(found) == 0 {
		return "", false
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return compareVersions(path.Base(a), path.Base(b)) })
	return filepath.Join(filepath.Dir(folder), filepath.FromSlash(newest)), true
}

// compareVersions orders versions as people read them: 1.10.0 is after 1.9.0, and after
// 1.10.0-rc1.
func compareVersions(a, b string) int {
	a, preA, _ := strings.Cut(a, "-")
	b, preB, _ := strings.Cut(b, "-")
	if order := compareParts(a, b); order != 0 {
		return order
	}
	if (preA == "") != (preB == "") {
		return cmp.Compare(len(preB), len(preA)) // without one it is the release
	}
	return compareParts(preA, preB)
}

func compareParts(a, b string) int {
	partsA, partsB := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(partsA), len(partsB)) {
		x, errX := strconv.ParseUint(partsA[i], 10, 64)
		y, errY := strconv.ParseUint(partsB[i], 10, 64)
		order := cmp.Compare(x, y)
		if errX != nil || errY != nil {
			order = cmp.Compare(partsA[i], partsB[i])
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(partsA), len(partsB))
}
