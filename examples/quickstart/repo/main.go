// Repo prints the path of a git repository with history for the quick start to
// read: the given directory's, or, where that has none, one that it makes.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "repo:", err)
		os.Exit(1)
	}
}

// run prints the repository to use: args are the directory to look at and where
// a sample may be made.
func run(args []string, stdout, stderr io.Writer) error {
	if len(args) != 2 {
		return errors.New("usage: repo CLONE SAMPLE")
	}
	clone, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	if hasHistory(clone) {
		_, err = fmt.Fprintln(stdout, clone)
		return err
	}
	sample, err := filepath.Abs(args[1])
	if err != nil {
		return err
	}
	if !hasHistory(sample) {
		fmt.Fprintf(stderr, "%s has no git history; making a sample repository in %s\n", clone, sample)
		if err := makeSample(sample); err != nil {
			return fmt.Errorf("make sample repository: %w", err)
		}
	}
	_, err = fmt.Fprintln(stdout, sample)
	return err
}

func hasHistory(dir string) bool {
	r, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if err != nil {
		return false
	}
	head, err := r.Head()
	if err != nil {
		return false
	}
	_, err = r.CommitObject(head.Hash())
	return err == nil
}

// makeSample makes a repository of a few people's commits, the same each time.
func makeSample(dir string) error {
	r, err := git.PlainInit(dir, false)
	if err != nil {
		return err
	}
	tree, err := r.Worktree()
	if err != nil {
		return err
	}
	people := []object.Signature{
		{Name: "Ada Lovelace", Email: "ada@example.com"},
		{Name: "Grace Hopper", Email: "grace@example.com"},
		{Name: "Agner Erlang", Email: "agner@example.com"},
	}
	var text strings.Builder
	for n := range 24 {
		by := people[n%len(people)]
		by.When = time.Date(2026, 1, 5+n, 9, 30, 0, 0, time.UTC)
		fmt.Fprintf(&text, "line %d of the exchange's log\n", n+1)
		if err := os.WriteFile(filepath.Join(dir, "log.txt"), []byte(text.String()), 0o600); err != nil { //nolint:gosec // the folder that the caller names
			return err
		}
		if _, err := tree.Add("log.txt"); err != nil {
			return err
		}
		message := fmt.Sprintf("Connect line %d", n+1)
		if n%4 == 3 {
			other := people[(n+1)%len(people)]
			message += fmt.Sprintf("\n\nCo-authored-by: %s <%s>\n", other.Name, other.Email)
		}
		if _, err := tree.Commit(message, &git.CommitOptions{Author: &by}); err != nil {
			return err
		}
	}
	return nil
}
