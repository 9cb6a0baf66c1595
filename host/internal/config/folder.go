package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// folder is a directory of configuration files. What is read of it lies in it: a link is
// followed as long as it stays inside, as those of a mounted volume do (..data), and
// nothing else is read even if a link takes the place of a file in between.
type folder struct {
	dir  string
	kind string // of what it has, such as tenants
	real string // without links
	root *os.Root
}

// openFolder opens a directory, which the caller closes.
func openFolder(dir, kind string) (*folder, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err //nolint:wrapcheck // who asked says what it was about
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	return &folder{dir: dir, kind: kind, real: real, root: root}, nil
}

func (f *folder) close() {
	if f != nil {
		_ = f.root.Close() // it was only read
	}
}

// paths lists the files, sorted, and those that must not be read.
func (f *folder) paths() (paths, refused []string, problems Problems, err error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, nil, nil, err //nolint:wrapcheck // as above
	}
	for _, e := range entries {
		path := filepath.Join(f.dir, e.Name())
		switch {
		case !tenantFile(e.Name()) || e.IsDir():
		case e.Type()&fs.ModeSymlink != 0 && f.leads(path):
			problems = append(problems, Problem{
				Severity: SeverityError, Code: CodeUnreadable, File: path,
				Message: "the link leaves the " + f.kind + " directory", Help: "copy the file into it",
			})
			refused = append(refused, path)
		default:
			paths = append(paths, path)
		}
	}
	return paths, refused, problems, nil
}

// leads reports whether a link leads out. One that leads nowhere is told when it is read.
func (f *folder) leads(link string) bool {
	target, err := filepath.EvalSymlinks(link)
	return err == nil && !within(target, f.real)
}

// read reads a file of the folder.
func (f *folder) read(path string, limit int64) ([]byte, error) {
	text, err := readFile(f.root.Stat, func(name string) (*os.File, error) { return f.root.Open(name) }, filepath.Base(path), limit)
	if _, there := os.Stat(path); err != nil && there == nil && !errors.Is(err, errTooLarge) && !errors.Is(err, errNotRegular) {
		if target, bad := os.Readlink(path); bad == nil && filepath.IsAbs(target) {
			return nil, errors.New("the link is absolute; make it relative, or copy the file")
		}
	}
	return text, err
}
