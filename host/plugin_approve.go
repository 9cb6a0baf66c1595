package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk"
)

func (c *cli) approveCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "approve FILE|NAME...",
		Short: "Consent to run a plugin: write its digest into plugins.lock",
		Long: `Approve is the consent to run a program. It starts each one once, asks what it
is, shows that, and writes its digest into plugins.lock beside host.yaml. From
then on the daemon runs this very file, and nothing else under its name.

A name stands for the file in the plugin directory that is called so. It needs no
daemon; one that runs takes up what was approved by itself.`,
		Example: "  jackfield plugin approve slack\n  jackfield plugin approve ./plugins/slack_v1.4.2_linux_amd64\n  jackfield plugin approve --all",
		Args: func(cmd *cobra.Command, args []string) error {
			if all && len(args) > 0 {
				return usageError(fmt.Errorf("%s: --all takes no arguments", cmd.CommandPath()), usageHint(cmd))
			}
			if !all {
				return someArgs("FILE|NAME")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !all {
				return c.approve(cmd.Context(), args, false)
			}
			return c.approveAll(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every program in the plugin directory that is not approved yet")
	return cmd
}

// approved is one plugin as approve shows it.
type approved struct {
	Name         string   `json:"name"`
	Version      string   `json:"version"`
	SHA256       string   `json:"sha256"`
	Size         int64    `json:"size"`
	Capabilities []string `json:"capabilities"`
	Hosts        []string `json:"hosts"`
	File         string   `json:"file"`
	Changed      bool     `json:"changed"` // false: it was approved already
}

// approval is the work of one approve.
type approval struct {
	host config.Host
	lock discovery.Lock
	done []approved
}

// approve approves files, or plugins by name, in the order given. What fails
// does not keep the others from it. Quietly it prints nothing when all is well.
func (c *cli) approve(ctx context.Context, targets []string, quietly bool) error {
	a, err := c.newApproval()
	if err != nil {
		return err
	}
	var errs []error
	for _, target := range targets {
		path, err := a.find(target)
		if err == nil {
			err = a.approve(ctx, path)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("approve %s: %w", target, err))
		}
	}
	if len(a.done) > 0 {
		if err := a.lock.Save(a.host.LockFile()); err != nil {
			return environmentError(err, "")
		}
		if !quietly {
			c.warnOutside(a)
			errs = append(errs, c.printApproved(a.done))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return failed(err, "")
	}
	return nil
}

// approveAll approves what the plugin directory holds and nobody approved yet.
func (c *cli) approveAll(ctx context.Context) error {
	a, err := c.newApproval()
	if err != nil {
		return err
	}
	scanner, err := discovery.NewScanner(discovery.Options{Dir: a.host.Plugins.Dir, Lock: a.host.LockFile(), Data: a.host.Data, Host: readBuild().release(), Leave: true})
	if err != nil {
		return environmentError(err, "")
	}
	found, err := scanner.Scan(ctx)
	if err != nil {
		return environmentError(err, "")
	}
	var targets []string
	for _, f := range found {
		if f.Verdict == discovery.VerdictUnapproved {
			targets = append(targets, f.Path)
		}
	}
	if len(targets) == 0 {
		_, err := fmt.Fprintf(c.stderr, "Every program in %s is approved.\n", a.host.Plugins.Dir)
		return errors.Join(err, c.printApproved(nil))
	}
	return c.approve(ctx, targets, false)
}

func (c *cli) newApproval() (*approval, error) {
	path, err := c.configPath()
	if err != nil {
		return nil, err
	}
	host, problems := config.LoadHost(path, config.Options{LookupEnv: c.lookupEnv})
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if err := supervisor.Supported(); err != nil {
		return nil, environmentError(err, "")
	}
	lock, err := discovery.LoadLock(host.LockFile())
	if err != nil {
		return nil, environmentError(err, "")
	}
	if err := os.MkdirAll(host.Data, 0o700); err != nil {
		return nil, environmentError(fmt.Errorf("make data directory: %w", err), "")
	}
	return &approval{host: host, lock: lock}, nil
}

// find returns the path that a target means: a file, or a plugin by name in the
// plugin directory; of a folder of versions the newest.
func (a *approval) find(target string) (string, error) {
	if strings.ContainsRune(target, filepath.Separator) || filepath.Dir(target) != "." {
		return filepath.Abs(target)
	}
	inDir := filepath.Join(a.host.Plugins.Dir, target)
	if _, err := os.Stat(inDir); err == nil {
		if newest, ok := discovery.Newest(inDir); ok {
			return newest, nil
		}
		return inDir, nil
	}
	if e, ok := a.lock.ByName(target); ok && e.File != "" {
		path := filepath.Join(a.host.Plugins.Dir, e.File)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	if info, err := os.Stat(target); err == nil && info.Mode().IsRegular() {
		return filepath.Abs(target)
	}
	entries, err := os.ReadDir(a.host.Plugins.Dir)
	if err != nil {
		return "", fmt.Errorf("there is no such file, and no plugin directory: %w (hint: mkdir %s)", err, a.host.Plugins.Dir)
	}
	for _, e := range entries {
		if discovery.NameOf(e.Name()) == target {
			return filepath.Join(a.host.Plugins.Dir, e.Name()), nil
		}
	}
	return "", fmt.Errorf("there is no such file in %s (hint: copy it there first)", a.host.Plugins.Dir)
}

// approve stages, starts and describes one program, and puts it into the lock.
func (a *approval) approve(ctx context.Context, path string) error {
	taken, m, err := a.examine(ctx, path)
	if err != nil {
		return err
	}
	taken.File = discovery.Place(a.host.Plugins.Dir, path)
	if err := a.check(m, path, taken.Digest); err != nil {
		return err
	}
	return a.enter(taken, m)
}

// examine copies a program or package, starts it and asks what it is.
func (a *approval) examine(ctx context.Context, path string) (discovery.Artifact, sdk.Manifest, error) {
	taken, err := discovery.Take(a.host.Data, readBuild().release(), a.lock, path)
	if err != nil {
		return taken, sdk.Manifest{}, err
	}
	cage := newCage(a.host, false)
	m, err := supervisor.Probe(ctx, supervisor.Options{
		Accept: acceptManifest, Inspect: discovery.Inspect, Folder: discovery.CheckFolder, Shared: cage.box.Separate() == "",
		Confine: func(cmd *exec.Cmd, l supervisor.Launch) (supervisor.Confinement, error) {
			l.Binary.Name = orElse(l.Binary.Name, discovery.NameOf(taken.File)) // what it calls itself is not known yet
			return cage.confine(cmd, l)
		},
	}, binaryOf(taken))
	return taken, m, err
}

// enter keeps what a program says of itself and puts it into the lock.
func (a *approval) enter(taken discovery.Artifact, m sdk.Manifest) error {
	name, digest := taken.File, taken.Digest
	if err := discovery.SaveManifest(a.host.Data, digest, m); err != nil {
		return err
	}
	shown := approved{Name: m.Name, Version: m.Version, SHA256: digest, Size: taken.Size, File: name, Capabilities: []string{}, Hosts: append([]string{}, m.Hosts...)}
	for _, capability := range m.Capabilities {
		shown.Capabilities = append(shown.Capabilities, string(capability))
	}
	shown.Changed = a.lock.Approve(discovery.Entry{
		Name: m.Name, Version: m.Version, SHA256: digest, Size: taken.Size, File: name, Runtime: taken.Runtime,
		Capabilities: shown.Capabilities, Hosts: shown.Hosts, ApprovedAt: time.Now().UTC().Truncate(time.Second),
	})
	a.done = append(a.done, shown)
	return nil
}

// valid refuses a name or version that cannot be kept.
func (*approval) valid(m sdk.Manifest) error {
	if !discovery.ValidName(m.Name) {
		return fmt.Errorf("it calls itself %.64q, which is no plugin name (hint: [a-z0-9][a-z0-9._-]{0,62})", m.Name)
	}
	if !discovery.ValidVersion(m.Version) {
		return fmt.Errorf("plugin %s has the version %.64q (hint: such as 1.4.2)", m.Name, m.Version)
	}
	return nil
}

// check refuses what is not valid, and a second file for a plugin that another serves
// (O02), but for another version in the same folder of versions.
func (a *approval) check(m sdk.Manifest, path, digest string) error {
	if err := a.valid(m); err != nil {
		return err
	}
	have, ok := a.lock.ByName(m.Name)
	other := filepath.Join(a.host.Plugins.Dir, have.File)
	if !ok || have.File == "" || have.SHA256 == digest || other == path || discovery.Siblings(have.File, discovery.Place(a.host.Plugins.Dir, path)) {
		return nil
	}
	if sum, err := discovery.Identify(a.host.Data, a.lock, other); err == nil && sum == have.SHA256 {
		return fmt.Errorf("plugin %s is served by %s already, so %s is refused (hint: remove %s to upgrade, then approve again)", m.Name, other, path, other)
	}
	return nil
}

// warnOutside tells of files that the daemon will not find.
func (c *cli) warnOutside(a *approval) {
	for _, p := range a.done {
		if _, err := os.Stat(filepath.Join(a.host.Plugins.Dir, p.File)); err != nil && !c.quiet {
			_, _ = fmt.Fprintf(c.stderr, "%s is approved, but not in %s: copy it there to have it run.\n", p.File, a.host.Plugins.Dir)
		}
	}
}

// printApproved prints what was approved.
func (c *cli) printApproved(done []approved) error {
	return printDone(c, "approved", done, func(t *table) {
		if len(done) == 0 {
			return
		}
		t.head("NAME", "VERSION", "DIGEST", "SIZE", "CAPABILITIES", "HOSTS", "APPROVED")
		for _, p := range done {
			t.row(p.Name, p.Version, p.SHA256, bytesText(p.Size), orElse(strings.Join(p.Capabilities, ","), "-"), orElse(strings.Join(p.Hosts, ","), "-"), nowOrBefore(p.Changed))
		}
	})
}

// nowOrBefore is when what a command is to do was done.
func nowOrBefore(changed bool) string {
	if changed {
		return "now"
	}
	return "before"
}

// printDone prints what a command did to each of its targets.
func printDone[T any](c *cli, field string, done []T, fill func(*table)) error {
	switch c.output {
	case "table":
		return c.printTable(fill)
	case "jsonl":
		for _, d := range done {
			if err := c.printValue(d); err != nil {
				return err
			}
		}
		return nil
	default:
		if done == nil {
			done = []T{}
		}
		return c.printValue(map[string]any{field: done})
	}
}
