package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/config"
)

func (c *cli) pluginInstallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "install FILE",
		Short: "Put a plugin into the plugin directory and approve it",
		Long: `Install copies a program, a .tar.gz or a folder into the plugin directory whole or
not at all, and approves it as "plugin approve" does: it starts it once and asks what
it is. What served the plugin before under another file is taken out; what is running
changes over without a stop. With trust: signed the signature beside the file comes
along and decides; nothing is approved.`,
		Example: "  jackfield plugin install ./slack-1.4.2.tar.gz",
		Args:    exactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.install(cmd.Context(), args[0])
		},
	}
}

func (c *cli) install(ctx context.Context, file string) error {
	a, err := c.newApproval()
	if err != nil {
		return err
	}
	from, err := filepath.Abs(file)
	if err != nil {
		return environmentError(err, "")
	}
	to := filepath.Join(a.host.Plugins.Dir, filepath.Base(from))
	if a.host.Plugins.Trust != config.TrustLock {
		if err := putPlugin(from, to); err != nil {
			return failed(fmt.Errorf("install %s: %w", file, err), "")
		}
		c.tell("%s is installed; jackfield plugin list tells what becomes of it", to)
		return c.printApproved(nil)
	}
	taken, m, err := a.examine(ctx, from)
	if err == nil {
		err = a.valid(m)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		err = putPlugin(from, to)
	}
	if err != nil {
		return failed(fmt.Errorf("install %s: %w", file, err), "")
	}
	before, _ := a.lock.ByName(m.Name)
	if err := a.enter(taken, m); err != nil {
		return environmentError(err, "")
	}
	if err := a.lock.Save(a.host.LockFile()); err != nil {
		return environmentError(err, "")
	}
	if before.File != "" && before.File != filepath.Base(to) { // not before the new one may serve
		old := filepath.Join(a.host.Plugins.Dir, before.File)
		if err := os.RemoveAll(old); err != nil {
			return environmentError(fmt.Errorf("remove %s: %w", old, err), "")
		}
	}
	return c.printApproved(a.done)
}

// putPlugin copies a file or folder with its signature and checksum to a name, whole or not at all.
func putPlugin(from, to string) error {
	if from == to {
		return nil
	}
	for _, ext := range []string{".minisig", ".sha256"} {
		if err := putBeside(from+ext, to+ext); err != nil {
			return err
		}
	}
	temp, err := os.MkdirTemp(filepath.Dir(to), ".install-*")
	if err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	defer os.RemoveAll(temp) //nolint:errcheck // hidden, and passed over
	next, old := filepath.Join(temp, "new"), filepath.Join(temp, "old")
	if err := copyTree(from, next); err != nil {
		return err
	}
	if info, err := os.Lstat(to); err == nil && (info.IsDir() || isDir(next)) { // a folder does not take a name over
		if err := os.Rename(to, old); err != nil {
			return fmt.Errorf("put the old one aside: %w", err)
		}
	}
	if err := os.Rename(next, to); err != nil {
		_ = os.Rename(old, to) // back, if it was put aside
		return fmt.Errorf("put it into its place: %w", err)
	}
	return nil
}

// putBeside copies what vouches for a program, or takes away what did for the one before.
func putBeside(from, to string) error {
	if _, err := os.Lstat(from); err == nil {
		return putPlugin(from, to)
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s, which is of the one before: %w", to, err)
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// copyTree copies regular files and directories, and refuses everything else.
func copyTree(from, to string) error {
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o750)
		case !info.Mode().IsRegular() || d.Type()&fs.ModeSymlink != 0 && path != from:
			return fmt.Errorf("%s is a link or a special file", path)
		default:
			return copyFile(path, filepath.Join(to, rel), info.Mode().Perm()&^0o022)
		}
	})
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return nil
}

func copyFile(from, to string, mode os.FileMode) (err error) {
	src, err := os.Open(from) //nolint:gosec // the operator named it
	if err != nil {
		return err //nolint:wrapcheck // the caller's walk tells where
	}
	defer src.Close() //nolint:errcheck // read only
	dst, err := os.OpenFile(filepath.Clean(to), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // likewise
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if _, err := io.Copy(dst, src); err != nil {
		return err //nolint:wrapcheck // likewise
	}
	return errors.Join(dst.Chmod(mode), dst.Sync())
}
