package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/sandbox"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/store"
)

func (c *cli) serveCommand() *cobra.Command {
	var dev bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon until it is stopped",
		Long: `Serve loads the approved plugins of the plugin directory, runs every tenant's
integrations on their schedule and answers the other commands.

SIGTERM or Ctrl-C stops it: streams in flight end or return to pending. A second
one ends it at once; nothing is lost by that either.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := c.openHost(cmd.Context(), dev)
			if err != nil {
				return err
			}
			defer announce(cmd.Context(), c.getenv("NOTIFY_SOCKET"), h.Ready(), h.log)()
			return environmentOf(h.Run(cmd.Context()))
		},
	}
	cmd.Flags().BoolVar(&dev, "dev", false, "allow plugins.trust: dir, which runs every plugin that is found")
	return cmd
}

// openHost reads the configuration and opens the daemon. What cannot be served
// with is an error; what a reload could cure is not.
func (c *cli) openHost(ctx context.Context, dev bool) (*Host, error) {
	if err := c.servable(); err != nil {
		return nil, err
	}
	path, err := c.configPath()
	if err != nil {
		return nil, err
	}
	limitMemory(c.getenv)
	redactor := &secret.Redactor{}
	cfg, problems := config.LoadHost(path, config.Options{Redactor: redactor})
	if problems.Failed() {
		return nil, problems.Err()
	}
	if err := trusts(path, cfg, dev); err != nil {
		return nil, err
	}
	ownerOnly()
	if err := sandbox.Harden(); err != nil {
		return nil, environmentError(fmt.Errorf("keep others out of this process: %w", err), "")
	}
	if socket := filepath.Join(cfg.Data, api.SocketName); len(socket) > maxSocketPath { // before anything is made there
		return nil, environmentError(fmt.Errorf("the path of %s has %d bytes; a socket can have %d", socket, len(socket), maxSocketPath),
			"choose a shorter data: in host.yaml, or a place nearer to the root")
	}
	level, format := c.logLevel, c.logFormat
	if !c.named.logLevel { // a flag goes before the file
		level = cmp.Or(cfg.Log.Level, level)
	}
	if !c.named.logFormat {
		format = cmp.Or(cfg.Log.Format, format)
	}
	h, err := OpenHost(ctx, cfg, newLogger(c.stderr, level, format, redactor.Redact), redactor)
	if errors.Is(err, store.ErrDamaged) {
		return nil, environmentError(err, c.restoreHint(cfg))
	}
	return h, environmentOf(err)
}

// trusts returns an error for a daemon that would run whatever is found, unless it is
// for development, and nobody elsewhere reaches it (K21).
func trusts(path string, cfg config.Host, dev bool) error {
	host, _, _ := net.SplitHostPort(cfg.Listen)
	switch {
	case cfg.Plugins.Trust != config.TrustDir:
		return nil
	case !dev:
		return usageError(fmt.Errorf("%s: plugins.trust: dir runs whatever is found in %s", path, cfg.Plugins.Dir),
			"trust: lock, or serve --dev on a machine of your own")
	case cfg.Listen != "" && !loopback(host):
		return usageError(fmt.Errorf("%s: plugins.trust: dir runs whatever is found in %s, and listen: %s is reached from other machines", path, cfg.Plugins.Dir, cfg.Listen),
			"listen on 127.0.0.1, or trust: lock")
	default:
		return nil
	}
}

// loopback reports whether host is this machine alone.
func loopback(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }

// servable returns an error on a system where there can be no daemon.
func (c *cli) servable() error {
	if c.goos == "windows" {
		return environmentError(errors.New("serve is not supported on Windows yet"), "run it on Linux or macOS")
	}
	return nil
}

// restoreHint says how a database is cured that cannot be opened.
func (c *cli) restoreHint(cfg config.Host) string {
	newest := "FILE"
	if kept, err := listSnapshots(cfg.Snapshots.Dir, time.Now()); err == nil && len(kept) > 0 {
		newest = snapshotPath(cfg.Snapshots.Dir, kept[len(kept)-1])
	}
	return fmt.Sprintf("keep a copy of %s and restore the newest good backup: %s", cfg.Data, c.command("db restore "+newest))
}

// environmentOf says of an error of the daemon that its environment is not as it
// must be, so that it exits 3 and a supervisor of services does not blame it.
func environmentOf(err error) error {
	if err == nil {
		return nil
	}
	return environmentError(err, "")
}
