//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	commits "github.com/go-git/go-git/v5/plumbing/object"
	"github.com/stretchr/testify/require"
)

// quickstart types what make run does, on the site, and waits until it serves. It returns
// what was said up to then.
func (s *site) quickstart() (d *daemonProcess, said string) {
	s.t.Helper()
	d = &daemonProcess{log: &output{}, done: make(chan error, 1)}
	d.cmd = exec.CommandContext(context.Background(), filepath.Join(s.bin, "jackfield"), "quickstart", "-c", filepath.Join(s.dir, "host.yaml"), "--plugins", s.bin, "--crm", filepath.Join(s.bin, "fakecrm"))
	d.cmd.Env = append(os.Environ(), s.env...)
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	require.NoError(s.t, d.cmd.Start())
	go func() { d.done <- d.cmd.Wait() }()
	s.t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	require.Eventually(s.t, func() bool { return strings.Contains(d.log.String(), "serving until Ctrl-C") }, patience, 20*time.Millisecond)
	return d, d.log.String()
}

// buildGit puts the plugin git beside the other programs that tests run.
func (s *site) buildGit() {
	s.t.Helper()
	cmd := exec.CommandContext(context.Background(), "go", "build", "-ldflags=-s -w", "-o", filepath.Join(s.bin, "git"), "../plugins/git")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, string(out))
}

// clone is a repository that somebody works in.
type clone struct {
	t   *testing.T
	dir string
	git *git.Repository
	n   int // commits
}

func newClone(t *testing.T) *clone {
	t.Helper()
	dir := t.TempDir()
	repo, err := git.PlainInit(dir, false)
	require.NoError(t, err)
	return &clone{t: t, dir: dir, git: repo}
}

// commit adds a commit of an author.
func (c *clone) commit(author string) {
	c.t.Helper()
	c.n++
	tree, err := c.git.Worktree()
	require.NoError(c.t, err)
	require.NoError(c.t, os.WriteFile(filepath.Join(c.dir, "file"), fmt.Appendf(nil, "%d\n", c.n), 0o600))
	_, err = tree.Add("file")
	require.NoError(c.t, err)
	when := time.Unix(1_700_000_000, 0).Add(time.Duration(c.n) * time.Minute).UTC()
	_, err = tree.Commit(fmt.Sprintf("change %d", c.n), &git.CommitOptions{
		Author: &commits.Signature{Name: author, Email: strings.ToLower(author) + "@example.org", When: when},
	})
	require.NoError(c.t, err)
}
