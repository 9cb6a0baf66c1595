package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// devLook is how often plugin dev looks whether a source has changed.
const devLook = 300 * time.Millisecond

func (c *cli) pluginDevCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "dev [DIR]",
		Short: "Build a plugin on every save, have the daemon swap to it, and follow its log",
		Long: `Dev builds the Go plugin in DIR each time one of its sources is saved, puts it into the
plugin directory and approves it: the daemon swaps to it, and what runs goes on from its
last checkpoint. What does not compile is shown as the compiler says it, and what served
before goes on. It is for a machine of your own: each save is a consent to run.`,
		Example: "  jackfield plugin dev ./weather -c site/host.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError(fmt.Errorf("%s: unexpected argument %q", cmd.CommandPath(), args[1]), usageHint(cmd))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return c.developPlugin(cmd.Context(), dir, once)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "build and approve once, and end")
	return cmd
}

// workshop is where a plugin is worked on.
type workshop struct {
	c    *cli
	dir  string // of the sources
	host config.Host
	name string // of the plugin, when it was built
}

func (c *cli) developPlugin(ctx context.Context, dir string, once bool) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return environmentError(err, "")
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return usageError(fmt.Errorf("%s is no Go module: %w", dir, err), "name the directory of a plugin; jackfield plugin new makes one")
	}
	a, err := c.newApproval()
	if err != nil {
		return err
	}
	w := &workshop{c: c, dir: dir, host: a.host}
	if once {
		return w.build(ctx)
	}
	var logs sync.WaitGroup
	defer logs.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tick := time.NewTicker(devLook)
	defer tick.Stop()
	following := ""
	for seen := map[string]time.Time(nil); ; {
		now, err := sources(dir)
		if err != nil {
			return environmentError(fmt.Errorf("read sources: %w", err), "")
		}
		if !maps.Equal(seen, now) {
			seen = now
			if err := w.build(ctx); err != nil && ctx.Err() == nil {
				c.report(err) // and the next save may cure it
			}
			if name := w.name; name != following {
				following = name
				logs.Go(func() { w.follow(ctx, name) })
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// build builds the plugin and lets the daemon have it.
func (w *workshop) build(ctx context.Context) error {
	begun := time.Now()
	if err := os.MkdirAll(w.host.Plugins.Dir, 0o750); err != nil {
		return environmentError(fmt.Errorf("make plugin directory: %w", err), "")
	}
	stage, err := os.MkdirTemp(w.host.Data, "dev-")
	if err != nil {
		return environmentError(fmt.Errorf("make directory: %w", err), "")
	}
	defer os.RemoveAll(stage) //nolint:errcheck // of our own
	made := filepath.Join(stage, "plugin")
	compile := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", made, ".") //nolint:gosec // fixed words
	compile.Dir = w.dir
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		if text := strings.TrimSpace(string(out)); text != "" {
			err = errors.New(text)
		}
		return failed(fmt.Errorf("build %s: %w", w.dir, err), "what served before goes on; save the file again when it is cured")
	}
	m, err := supervisor.Probe(ctx, supervisor.Options{Inspect: discovery.Inspect}, supervisor.Binary{Path: made})
	if err != nil {
		return failed(err, "")
	}
	if !discovery.ValidName(m.Name) {
		return failed(fmt.Errorf("it calls itself %.64q, which is no plugin name", m.Name), "[a-z0-9][a-z0-9._-]{0,62}")
	}
	program, err := os.ReadFile(made) //nolint:gosec // just made
	if err != nil {
		return environmentError(err, "")
	}
	path := filepath.Join(w.host.Plugins.Dir, m.Name)
	if same, err := os.ReadFile(path); err != nil || !bytes.Equal(same, program) { //nolint:gosec // the operator's directory
		if err := os.WriteFile(path+".tmp", program, 0o700); err != nil { //nolint:gosec // it is to be executed
			return environmentError(fmt.Errorf("write plugin: %w", err), "")
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			return environmentError(fmt.Errorf("write plugin: %w", err), "")
		}
	}
	if err := w.c.approve(ctx, []string{path}, true); err != nil {
		return err
	}
	w.name = m.Name
	w.c.tell("%s %s: built in %s and approved", m.Name, m.Version, time.Since(begun).Round(time.Millisecond))
	return nil
}

// follow prints what the plugin logs, for as long as there is a daemon.
func (w *workshop) follow(ctx context.Context, name string) {
	for ctx.Err() == nil {
		if err := w.logs(ctx, name); err != nil && ctx.Err() == nil {
			w.c.tell("no log to follow: %v", err)
		}
		timer := time.NewTimer(5 * time.Second)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// logs prints what the plugin logs until the daemon ends.
func (w *workshop) logs(ctx context.Context, name string) error {
	return w.c.withDaemon(ctx, func(ctx context.Context, d *daemon) error {
		stream, err := hostv1.NewPluginServiceClient(d).StreamPluginLogs(ctx, &hostv1.StreamPluginLogsRequest{Name: name, Follow: true})
		if err != nil {
			return err
		}
		for {
			line, err := stream.Recv()
			if err != nil {
				return err
			}
			if err := w.c.printItem(line, logLineText(line)); err != nil {
				return err
			}
		}
	})
}

// sources returns when each file that a build reads was saved.
func sources(dir string) (map[string]time.Time, error) {
	found := map[string]time.Time{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // just removed
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != dir && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		switch ext := filepath.Ext(path); {
		case strings.HasSuffix(path, "_test.go"):
		case ext == ".go", ext == ".mod", ext == ".sum":
			if info, err := d.Info(); err == nil {
				found[path] = info.ModTime()
			}
		}
		return nil
	})
	return found, err
}
