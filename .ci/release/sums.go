package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	sumsFile   = "SHA256SUMS"
	listEnding = ".cdx.json"
)

// write makes the lists of what is in each program of dir, and the sums of all files.
func write(dir string, stdout io.Writer) error {
	names, err := filesOf(dir)
	if err != nil {
		return err
	}
	modules := &licenses{}
	programs := 0
	for _, name := range names {
		if strings.HasSuffix(name, listEnding) {
			continue
		}
		list, err := listOf(filepath.Join(dir, name), modules)
		if err != nil {
			return fmt.Errorf("list %s: %w", name, err)
		}
		programs++
		if err := os.WriteFile(filepath.Join(dir, name+listEnding), list, 0o644); err != nil { //nolint:gosec // everybody may read it
			return err
		}
	}
	if programs == 0 {
		return fmt.Errorf("there is no program in %s", dir)
	}
	if names, err = filesOf(dir); err != nil {
		return err
	}
	var sums strings.Builder
	for _, name := range names {
		sum, err := sumOf(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
	}
	if err := os.WriteFile(filepath.Join(dir, sumsFile), []byte(sums.String()), 0o644); err != nil { //nolint:gosec // everybody may read it
		return err
	}
	_, err = fmt.Fprintf(stdout, "%d programs, each with a list of what is in it, and %s\n", programs, filepath.Join(dir, sumsFile))
	return err
}

// check holds the files of dir against what was written. It names all that is wrong.
func check(dir string, stdout io.Writer) error {
	names, err := filesOf(dir)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(dir, sumsFile)) //nolint:gosec // the caller's folder
	if err != nil {
		return err
	}
	var wrong []error
	said := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		want, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || !filepath.IsLocal(name) {
			return fmt.Errorf("%s: %.80q is no sum", sumsFile, line)
		}
		said[name] = true
		if got, err := sumOf(filepath.Join(dir, name)); err != nil {
			wrong = append(wrong, err)
		} else if got != want {
			wrong = append(wrong, fmt.Errorf("%s: it is %s, and was %s", name, got, want))
		}
	}
	for _, name := range names {
		if !said[name] {
			wrong = append(wrong, fmt.Errorf("%s: %s says nothing of it", name, sumsFile))
		}
		if program, ok := strings.CutSuffix(name, listEnding); ok {
			if err := listFits(dir, program); err != nil {
				wrong = append(wrong, err)
			}
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%d files are what %s says\n", len(said), sumsFile)
	return err
}

// listFits returns an error if the list of a program does not name the program's bytes and
// the modules that the compiler wrote into it.
func listFits(dir, name string) error {
	raw, err := os.ReadFile(filepath.Join(dir, name+listEnding)) //nolint:gosec // the caller's folder
	if err != nil {
		return err
	}
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("%s%s: %w", name, listEnding, err)
	}
	sum, err := sumOf(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if !slices.Contains(doc.Metadata.Component.Hashes, hash{"SHA-256", sum}) {
		return fmt.Errorf("%s%s: it is the list of another program than %s", name, listEnding, name)
	}
	info, err := buildinfo.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	want := []string{}
	for _, m := range modulesOf(info) {
		want = append(want, m.purl())
	}
	got := []string{}
	for _, c := range doc.Components {
		got = append(got, c.PURL)
	}
	if !slices.Equal(want, got) {
		return fmt.Errorf("%s%s: it does not name the modules that %s is made of", name, listEnding, name)
	}
	return nil
}

// same compares what was built in two places. In no program may stand one of the places.
func same(a, b string, places []string, stdout io.Writer) error {
	names, err := filesOf(a)
	if err != nil {
		return err
	}
	others, err := filesOf(b)
	if err != nil {
		return err
	}
	if !slices.Equal(names, others) || len(names) == 0 {
		return fmt.Errorf("%s has %v, %s has %v", a, names, b, others)
	}
	var wrong []error
	for _, name := range names {
		one, err := os.ReadFile(filepath.Join(a, name)) //nolint:gosec // the caller's folder
		if err != nil {
			return err
		}
		two, err := os.ReadFile(filepath.Join(b, name)) //nolint:gosec // the caller's folder
		if err != nil {
			return err
		}
		if !bytes.Equal(one, two) {
			wrong = append(wrong, fmt.Errorf("%s: built twice from the same sources, it differs", name))
		}
		for _, place := range places {
			if bytes.Contains(one, []byte(place)) {
				wrong = append(wrong, fmt.Errorf("%s: it tells that it was built at %s", name, place))
			}
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%d programs, built twice in different places, are the same in each byte\n", len(names))
	return err
}

// filesOf returns the paths below dir that sums are made of, sorted. What signs the sums is
// none of them.
func filesOf(dir string) (out []string, err error) {
	//nolint:gosec // the caller's folder
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if name = filepath.ToSlash(name); name != sumsFile && name != sumsFile+".minisig" {
			out = append(out, name)
		}
		return err
	})
	return out, err
}

// sumOf returns the SHA-256 of a file.
func sumOf(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the caller's folder
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
