package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Finding is one thing that is wrong with a program or package.
type Finding struct {
	File      string  // in the package; empty of the program or package itself
	Line, Col int     // from 1; zero of the whole file
	Code      Verdict // what the host would say of it
	Text      string
	Hint      string // what cures it; may be empty
	Source    string // the line of plugin.yaml
}

// Lint looks at the program, folder or .tar.gz at path as a host of this version would,
// and returns everything that is wrong with it at once, by file and line. It runs
// nothing; scratch is a directory that it may leave files in. Whether somebody approved
// or signed it is no matter. The error says why it could not look.
func Lint(scratch, host, path string) ([]Finding, error) {
	l := &linter{host: host}
	s, err := NewScanner(Options{Dir: filepath.Dir(path), Lock: filepath.Join(scratch, LockFile), Data: scratch, Host: host, Leave: true})
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("stat package: %w", err)
	}
	place := path
	switch {
	case !info.IsDir() && !archived(path):
		return l.program(path), nil
	case !info.IsDir():
		if place, err = s.unpackFile(path); err != nil {
			if l.add("", 0, err); len(l.found) > 0 {
				return l.found, nil
			}
			return nil, err
		}
	}
	root, err := os.OpenRoot(place)
	if err != nil {
		return nil, fmt.Errorf("open package: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	l.folder(s, root, place)
	slices.SortStableFunc(l.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return l.found, nil
}

// linter collects what is wrong.
type linter struct {
	host  string
	found []Finding
}

// add notes an *UnfitError, and anything else as what cannot be read.
func (l *linter) add(file string, line int, err error) {
	f := Finding{File: file, Line: line, Code: VerdictRefused, Text: err.Error()}
	if line > 0 {
		f.Col = 1
	}
	if e, ok := errors.AsType[*UnfitError](err); ok {
		f.Code, f.Text, f.Hint = e.Verdict, e.Reason, e.Hint
	}
	l.found = append(l.found, f)
}

// program looks at a bare program and the .sha256 beside it.
func (l *linter) program(path string) []Finding {
	if err := Inspect(path); err != nil {
		l.add("", 0, err)
	}
	digest, err := Digest(path)
	if err == nil {
		err = checkSumOf(path, digest)
	}
	if err != nil {
		l.add("", 0, err)
	}
	if NameOf(filepath.Base(path)) == "" {
		l.add("", 0, &UnfitError{Verdict: VerdictRefused, Reason: "the file's name is no plugin name", Hint: "name it [a-z0-9][a-z0-9._-]*"})
	}
	return l.found
}

// folder looks at a package.
func (l *linter) folder(s *Scanner, root *os.Root, place string) {
	files, err := s.listAll(root, place, func(name string, err error) error {
		l.add(name, 0, err)
		return nil
	})
	if err != nil {
		l.add("", 0, err)
	}
	body, err := readBounded(root, packageFile, maxPackageFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.add(packageFile, 0, badPackage("the package has no "+packageFile, "write one; it names the plugin, its version and its programs"))
	case err != nil:
		l.add(packageFile, 0, err)
	}
	d := l.describe(body)
	l.sums(root, files, len(d.Executables) == 0) // a folder needs none, and of what cannot be read nobody knows
	for _, platform := range slices.Sorted(maps.Keys(d.Executables)) {
		l.executable(root, files, place, platform, d.Executables[platform], body)
	}
}

// describe looks at plugin.yaml, and returns what could be read of it.
func (l *linter) describe(body []byte) description {
	var d description
	if body == nil {
		return d
	}
	if err := d.needs(body, l.host); err != nil {
		e, _ := errors.AsType[*UnfitError](err)
		l.at(body, []string{"min_host"}, e.Verdict, e.Reason, e.Hint)
		return d // the rest may be what this host does not know
	}
	d = description{}
	err := yaml.Load(body, &d, yaml.WithKnownFields(), yaml.WithUniqueKeys())
	if all, ok := errors.AsType[*yaml.LoadErrors](err); ok {
		for _, e := range all.Errors {
			l.place(body, e.Mark.Line, e.Mark.Column, VerdictBadPackage, withoutTypes(e.Message), "")
		}
	} else if one, ok := errors.AsType[*yaml.LoadError](err); ok {
		l.place(body, one.Mark.Line, one.Mark.Column, VerdictBadPackage, withoutTypes(one.Message), "")
		return d
	} else if err != nil {
		l.add(packageFile, 0, badPackage(yamlText(err), ""))
		return d
	}
	for _, f := range d.faults() {
		l.at(body, f.key, VerdictBadPackage, f.text, "")
	}
	for _, f := range settingFaults(d.Manifest) {
		l.at(body, f.key, VerdictBadPackage, f.text, "")
	}
	return d
}

// at notes what is wrong at a key of plugin.yaml, or nearest to where it should be.
func (l *linter) at(body []byte, key []string, code Verdict, text, hint string) {
	var doc yaml.Node
	line, col := 1, 1
	if err := yaml.Load(body, &doc); err == nil && len(doc.Content) > 0 {
		n := doc.Content[0]
		line, col = n.Line, n.Column
		for _, name := range key {
			i := slices.IndexFunc(n.Content, func(k *yaml.Node) bool { return k.Value == name })
			if n.Kind != yaml.MappingNode || i < 0 || i+1 >= len(n.Content) {
				break
			}
			line, col = n.Content[i].Line, n.Content[i].Column
			n = n.Content[i+1]
		}
	}
	l.place(body, line, col, code, text, hint)
}

// place notes what is wrong somewhere in plugin.yaml.
func (l *linter) place(body []byte, line, col int, code Verdict, text, hint string) {
	f := Finding{File: packageFile, Line: max(1, line), Col: max(1, col), Code: code, Text: text, Hint: hint}
	if lines := strings.Split(string(body), "\n"); f.Line <= len(lines) {
		f.Source = strings.TrimRight(lines[f.Line-1], "\r")
	}
	l.found = append(l.found, f)
}

// sums looks at SHA256SUMS and compares the files with it.
func (l *linter) sums(root *os.Root, files []member, optional bool) {
	body, err := readBounded(root, sumsFile, maxSumsFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && optional:
		return
	case errors.Is(err, fs.ErrNotExist):
		l.add(sumsFile, 0, badPackage("the package has no "+sumsFile, "sha256sum its files, plugin.yaml too, into "+sumsFile))
		return
	case err != nil:
		l.add(sumsFile, 0, err)
		return
	}
	want, faults := parseSums(body)
	for _, f := range append(faults, compareSums(want, files)...) {
		l.add(sumsFile, f.line, f.err)
	}
}

// executable looks at the program for one system and processor.
func (l *linter) executable(root *os.Root, files []member, place, platform, name string, body []byte) {
	key := []string{"executables", platform}
	fail := func(err error) {
		e, ok := errors.AsType[*UnfitError](err)
		if !ok {
			e = &UnfitError{Verdict: VerdictRefused, Reason: cause(err)}
		}
		l.at(body, key, e.Verdict, fmt.Sprintf("executables: %s: %.240q: %s", platform, name, e.Reason), e.Hint)
	}
	if !goodPath(name) {
		return // it is said
	}
	if _, ok := find(files, name); !ok {
		fail(&UnfitError{Verdict: VerdictIncomplete, Reason: "it is missing", Hint: "copy the program there, or leave the platform out"})
		return
	}
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|openFlags, 0)
	if err != nil {
		fail(err)
		return
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		fail(err)
		return
	}
	if err := executable(info, path.Join(place, name)); err != nil {
		fail(err)
	}
	if err := inspectFor(platform, f, info.Size()); err != nil {
		fail(err)
	}
}
