package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// licenses finds the licenses of modules in the text that they come with.
type licenses struct {
	once sync.Once
	dirs map[string]string // of path@version
	err  error
}

// licensesOf returns the SPDX identifiers of a module's licenses, sorted; none if no text
// is known.
func (l *licenses) licensesOf(m module) (ids []string, err error) {
	dir := runtime.GOROOT() //nolint:staticcheck // this is run where it was built
	if m.path != "std" {
		l.once.Do(func() { l.dirs, l.err = moduleDirs() })
		if dir = l.dirs[m.path+"@"+m.version]; l.err != nil || dir == "" {
			return nil, errors.Join(l.err, fmt.Errorf("module %s@%s is not there", m.path, m.version))
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	name := regexp.MustCompile(`(?i)^(licen[sc]e|copying)`)
	for _, e := range entries {
		if e.IsDir() || !name.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name())) //nolint:gosec // of the module cache
		if err != nil {
			return nil, err
		}
		ids = append(ids, licensesIn(string(text))...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// moduleDirs asks the go command where the modules are.
func moduleDirs() (map[string]string, error) {
	cmd := exec.CommandContext(context.Background(), "go", "list", "-m", "-json=Path,Version,Dir", "all")
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	dirs := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(raw))); ; {
		var m struct {
			Path    string `json:"Path"`
			Version string `json:"Version"`
			Dir     string `json:"Dir"`
		}
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, fmt.Errorf("list modules: %w", err)
		}
		dirs[m.Path+"@"+m.Version] = m.Dir
	}
}

// licensesIn returns the licenses whose words are in a text. A text may have several.
func licensesIn(text string) (ids []string) {
	text = strings.Join(strings.Fields(strings.ToLower(text)), " ")
	has := func(words ...string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	}
	for _, l := range []struct {
		id   string
		here bool
	}{
		{"Apache-2.0", has("apache license", "version 2.0")},
		{"MPL-2.0", has("mozilla public license", "version 2.0", "covered software")},
		{"MIT", has("permission is hereby granted, free of charge, to any person obtaining a copy", "the above copyright notice and this permission notice")},
		{"ISC", has("permission to use, copy, modify, and/or distribute this software for any purpose with or without fee")},
		{"BSD-3-Clause", has("redistribution and use in source and binary forms", "neither the name")},
		{"BSD-2-Clause", has("redistribution and use in source and binary forms") && !has("neither the name")},
		{"Unlicense", has("this is free and unencumbered software released into the public domain")},
	} {
		if l.here {
			ids = append(ids, l.id)
		}
	}
	return ids
}
