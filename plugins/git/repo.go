package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/jackfield/jackfield/sdk"
)

const headBranch = "HEAD" // the branch of a detached HEAD

var (
	errNoBranch = errors.New("no such branch")
	errNoCommit = errors.New("no commits yet")
)

// repo is an open repository, for one goroutine. It reads objects and refs
// itself because go-git's Repository refuses partial clones and sparse
// checkouts, which are readable.
type repo struct {
	objects
	path      string
	name      string // of the folder, for people
	id        string // name and a hash of the path
	store     *filesystem.Storage
	shallow   map[plumbing.Hash]bool
	shallowID string // changes with the set of boundary commits; empty if there is none
}

// openRepo opens the clone at path. The caller closes it. Its errors are of
// ClassConfig.
func openRepo(path string) (*repo, error) {
	dot, err := gitDir(path)
	if err != nil {
		return nil, badRepo(path, err)
	}
	common, err := commonDir(dot)
	if err != nil {
		return nil, badRepo(path, err)
	}
	fs := osfs.New(dot)
	if common != dot {
		fs = dotgit.NewRepositoryFilesystem(fs, osfs.New(common))
	}
	r := &repo{path: path, name: repoName(path)}
	sum := sha256.Sum256([]byte(path))
	r.id = r.name + "-" + hex.EncodeToString(sum[:4])
	r.store = openStore(fs)
	r.stores = append(r.stores, r.store)
	borrowed, err := alternates(common)
	for _, dir := range borrowed {
		r.stores = append(r.stores, openStore(osfs.New(filepath.Dir(dir))))
	}
	if err := errors.Join(err, r.checkFormat(), r.readShallow()); err != nil {
		return nil, badRepo(path, errors.Join(err, r.close()))
	}
	return r, nil
}

// gitDir returns the folder that holds HEAD.
func gitDir(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", err
	}
	dot := filepath.Join(path, ".git")
	info, err := os.Stat(dot)
	switch {
	case errors.Is(err, os.ErrNotExist):
		dot = path // bare
	case err != nil:
		return "", err
	case !info.IsDir(): // a worktree or a submodule names its folder in a file
		text, err := os.ReadFile(dot) //nolint:gosec // the operator names the path
		if err != nil {
			return "", err
		}
		line, _, _ := strings.Cut(string(text), "\n")
		target, ok := strings.CutPrefix(line, "gitdir:")
		if !ok {
			return "", fmt.Errorf("%s has no gitdir line", dot)
		}
		if dot = strings.TrimSpace(target); !filepath.IsAbs(dot) {
			dot = filepath.Join(path, dot)
		}
	}
	if _, err := os.Stat(filepath.Join(dot, "HEAD")); err != nil { //nolint:gosec // the operator names the path, or the clone does
		if errors.Is(err, os.ErrNotExist) {
			return "", errors.New("not a git repository")
		}
		return "", err
	}
	return dot, nil
}

// commonDir returns the folder with the objects, which a worktree has elsewhere.
func commonDir(dot string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dot, "commondir")) //nolint:gosec // the operator names the path
	if errors.Is(err, os.ErrNotExist) {
		return dot, nil
	}
	if err != nil {
		return "", err
	}
	dir := strings.TrimSpace(string(text))
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(dot, dir)
	}
	return dir, nil
}

func repoName(path string) string {
	base := filepath.Base(path)
	if base == ".git" {
		base = filepath.Base(filepath.Dir(path))
	}
	if name := strings.TrimSuffix(base, ".git"); name != "" {
		base = name
	}
	return line(base, 64)
}

// checkFormat refuses what cannot be read: other hashes and other ref stores.
func (r *repo) checkFormat() error {
	cfg, err := r.store.Config()
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	if !cfg.Raw.HasSection("extensions") {
		return nil
	}
	for _, o := range cfg.Raw.Section("extensions").Options {
		key, value := strings.ToLower(o.Key), strings.ToLower(o.Value)
		if key == "objectformat" && value != "sha1" || key == "refstorage" && value != "files" {
			return fmt.Errorf("extension %s=%s is not supported", o.Key, o.Value)
		}
	}
	return nil
}

func (r *repo) readShallow() error {
	hashes, err := r.store.Shallow()
	if err != nil {
		return fmt.Errorf("read shallow: %w", err)
	}
	r.shallow = make(map[plumbing.Hash]bool, len(hashes))
	names := make([]string, 0, len(hashes))
	for _, h := range hashes {
		r.shallow[h] = true
		names = append(names, h.String())
	}
	if len(names) > 0 {
		slices.Sort(names)
		sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
		r.shallowID = hex.EncodeToString(sum[:8])
	}
	return nil
}

// head returns the name of the branch that HEAD is at, or "HEAD" if it is
// detached.
func (r *repo) head() (string, error) {
	ref, err := r.store.Reference(plumbing.HEAD)
	if err != nil {
		return "", fmt.Errorf("read HEAD: %w", err)
	}
	if ref.Type() == plumbing.SymbolicReference && ref.Target().IsBranch() {
		return ref.Target().Short(), nil
	}
	return headBranch, nil
}

// branches returns the names of the local branches, sorted.
func (r *repo) branches() ([]string, error) {
	refs, err := r.store.IterReferences()
	if err != nil {
		return nil, fmt.Errorf("list branches: %w", err)
	}
	var names []string
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		if ref.Name().IsBranch() {
			names = append(names, ref.Name().Short())
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// resolve returns the commit at the tip of a branch, local or of the remote
// origin, or of a full reference name. It returns errNoBranch, or errNoCommit
// for the HEAD branch of an empty repository.
func (r *repo) resolve(branch string) (plumbing.Hash, error) {
	names := []plumbing.ReferenceName{plumbing.NewBranchReferenceName(branch), plumbing.NewRemoteReferenceName("origin", branch)}
	if branch == headBranch || strings.HasPrefix(branch, "refs/") {
		names = []plumbing.ReferenceName{plumbing.ReferenceName(branch)}
	}
	for _, name := range names {
		ref, err := storer.ResolveReference(r.store, name)
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			continue
		}
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("resolve %s: %w", name, err)
		}
		return r.peel(ref.Hash()), nil
	}
	if name, err := r.head(); err == nil && name == branch {
		return plumbing.ZeroHash, errNoCommit
	}
	return plumbing.ZeroHash, errNoBranch
}

func badRepo(path string, err error) *sdk.Error {
	hint := "name the folder of a clone, bare or not"
	switch {
	case errors.Is(err, os.ErrNotExist):
		err, hint = errors.New("no such folder"), "relative paths start at the plugin's folder; use an absolute one"
	case errors.Is(err, os.ErrPermission):
		hint = "let the user that runs the plugin read it"
	}
	return &sdk.Error{Class: sdk.ClassConfig, Code: "bad_repository", Message: fmt.Sprintf("repository %s: %v (hint: %s)", path, err, hint), Cause: err}
}
