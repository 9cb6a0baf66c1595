package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/sdk"
)

const allBranches = "*"

type settings struct {
	Path     string   `json:"path,omitempty" jsonschema:"title=Repository,description=Folder of a local clone; a bare one and a worktree will do" jsonschema_extras:"x-path=true"`
	Paths    []string `json:"paths,omitempty" jsonschema:"title=Repositories,description=Folders of several local clones" jsonschema_extras:"x-path=true"`
	Branch   string   `json:"branch,omitempty" jsonschema:"title=Branch,description=Branch to read; the one that HEAD names if empty; * for all local ones"`
	Branches []string `json:"branches,omitempty" jsonschema:"title=Branches,description=Several branches to read"`
	Stats    *bool    `json:"stats,omitempty" jsonschema:"title=Count lines,description=Count inserted and deleted lines of each commit; the import is several times faster without,default=true"`
}

// plan is what settings ask for, checked.
type plan struct {
	paths    []string // absolute, each once
	branches []string // each once; none means the HEAD branch
	stats    bool
}

func (s settings) plan() (plan, error) {
	p := plan{stats: s.Stats == nil || *s.Stats}
	paths := slices.Clone(s.Paths)
	if s.Path != "" {
		paths = append([]string{s.Path}, paths...)
	}
	if len(paths) == 0 {
		return plan{}, badSettings("settings: path is required (hint: path: /srv/clones/app)")
	}
	for _, path := range paths {
		if strings.TrimSpace(path) == "" {
			return plan{}, badSettings("settings: paths: an entry is empty")
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return plan{}, badSettings(fmt.Sprintf("settings: path %q: %v (hint: use an absolute path)", path, err))
		}
		if !slices.Contains(p.paths, abs) {
			p.paths = append(p.paths, abs)
		}
	}
	branches := slices.Clone(s.Branches)
	if s.Branch != "" {
		branches = append([]string{s.Branch}, branches...)
	}
	for _, b := range branches {
		if err := checkBranch(b); err != nil {
			return plan{}, err
		}
		if !slices.Contains(p.branches, b) {
			p.branches = append(p.branches, b)
		}
	}
	return p, nil
}

// checkBranch refuses names that git refuses, so that none of them reaches a
// path below the refs folder.
func checkBranch(name string) error {
	if name == allBranches {
		return nil
	}
	bad := name == "" || strings.HasPrefix(name, "/") || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "/") ||
		strings.Contains(name, "..") || strings.Contains(name, "//") || strings.ContainsAny(name, " ~^:?*[\\\x7f")
	for _, r := range name {
		bad = bad || r < ' '
	}
	if bad {
		return badSettings(fmt.Sprintf("settings: branch %q is no branch name (hint: the name alone, such as main, or * for all)", name))
	}
	return nil
}

func badSettings(message string) *sdk.Error {
	return &sdk.Error{Class: sdk.ClassConfig, Code: "bad_settings", Message: message}
}
