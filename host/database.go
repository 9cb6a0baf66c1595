package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/secret"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// database looks after the file of the store, for the API.
type database struct {
	*sqlite.DB
	snapshots *snapshots
}

var _ api.Database = database{}

// Snapshots implements api.Database.
func (d database) Snapshots() api.Snapshots { return d.snapshots.status() }

func (c *cli) databaseCommand() *cobra.Command {
	return group("db", "Check, back up and restore the store",
		c.databaseCheckCommand(), c.databaseBackupCommand(), c.databaseRestoreCommand())
}

func (c *cli) databaseCheckCommand() *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Look for damage in the store, or in a backup",
		Long: `Look at every page of the store and at what refers to what, while the daemon works.

With FILE it looks at a backup, without the daemon. Exits with 3 if something is
wrong.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
					return c.checkDatabase(ctx, d, deep)
				})
			}
			exam, err := sqlite.Examine(cmd.Context(), args[0], deep)
			if err != nil {
				return environmentOf(err)
			}
			return c.printExamination(api.Examination(exam))
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "compare the indexes with their tables too, and look for what must never be")
	return cmd
}

// checkDatabase has the daemon look.
func (c *cli) checkDatabase(ctx context.Context, d *daemon, deep bool) error {
	call, err := hostv1.NewDatabaseServiceClient(d).CheckDatabase(ctx, &hostv1.CheckDatabaseRequest{Deep: deep})
	if err != nil {
		return err
	}
	resp, err := call.Recv()
	if err != nil {
		return err
	}
	return c.printExamination(resp)
}

func (c *cli) printExamination(resp *hostv1.CheckDatabaseResponse) error {
	err := c.print(resp, func(t *table) {
		t.fact("database", resp.GetPath())
		t.fact("schema", fmt.Sprint(resp.GetSchema()))
		t.fact("took", shortDuration(time.Duration(resp.GetTookMs())*time.Millisecond))
		t.section("Checks")
		for _, ch := range resp.GetChecks() {
			if len(ch.GetProblems()) == 0 {
				t.row(checkOK, ch.GetName(), "")
			}
			for _, problem := range ch.GetProblems() {
				t.row(shownStatus(checkFailed), ch.GetName(), problem)
			}
		}
	})
	if err == nil && !resp.GetOk() {
		return environmentError(fmt.Errorf("%s: %w", resp.GetPath(), store.ErrDamaged),
			"stop the daemon, keep a copy of the data directory, and restore the newest good backup: "+c.command("db restore FILE"))
	}
	return err
}

func (c *cli) databaseBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup [FILE]",
		Short: "Write a checked copy of the store into a new file",
		Long: `Write a copy of the store, as it is at one moment, into a new file on the daemon's
machine, while the daemon works. The file has its name only once it was checked
and is on the disk.

The key file is not in it, on purpose: keep a copy of that elsewhere. Without it
the settings and tokens of a backup cannot be read.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "jackfield-" + time.Now().UTC().Format(snapshotTime) + ".db"
			if len(args) > 0 {
				name = args[0]
			}
			path, err := filepath.Abs(name)
			if err != nil {
				return environmentError(fmt.Errorf("find %s: %w", name, err), "")
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				return c.backupDatabase(ctx, d, path)
			})
		},
	}
}

func (c *cli) backupDatabase(ctx context.Context, d *daemon, path string) error {
	call, err := hostv1.NewDatabaseServiceClient(d).BackupDatabase(ctx, &hostv1.BackupDatabaseRequest{Path: path})
	if err != nil {
		return err
	}
	resp, err := call.Recv()
	if err != nil {
		return err
	}
	return c.print(resp, func(t *table) {
		b := resp.GetBackup()
		t.fact("backup", b.GetPath())
		t.fact("size", bytesText(b.GetBytes()))
		t.fact("schema", fmt.Sprint(b.GetSchema()))
		t.fact("took", shortDuration(time.Duration(b.GetTookMs())*time.Millisecond))
	})
}

func (c *cli) databaseRestoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a backup the store, while the daemon is stopped",
		Long: `Make a backup the store. The daemon must be stopped.

The backup is checked before anything is changed. What the store held is kept
beside it under a dated name, so that "jackfield db restore" of that file goes
back. Integrations go on from the cursors of the backup: what changed since is
imported again, and the change feed goes on above its newest position.`,
		Args: exactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.restoreDatabase(cmd.Context(), args[0]) },
	}
}

func (c *cli) restoreDatabase(ctx context.Context, file string) error {
	host, problems := config.LoadHost(c.config, config.Options{LookupEnv: c.lookupEnv})
	if problems.Failed() {
		return problems.Err()
	}
	done, err := sqlite.Restore(ctx, host.Data, file, time.Now())
	if err != nil {
		return restoreError(err)
	}
	warning := sealedOtherwise(ctx, host, done.Schema)
	if c.output != "table" {
		return c.printValue(object{
			{"path", done.Path},
			{"bytes", done.Bytes},
			{"schema", done.Schema},
			{"took_ms", done.Took.Milliseconds()},
			{"kept", toAny(done.Kept)},
			{"warning", warning},
		})
	}
	return c.printTable(func(t *table) {
		t.fact("restored", done.Path)
		t.fact("from", file)
		t.fact("size", bytesText(done.Bytes))
		if len(done.Kept) > 0 {
			t.fact("before", strings.Join(done.Kept, ", "))
			t.fact("go back", c.command("db restore "+done.Kept[0]))
		}
		t.fact("next", c.command("serve"))
		if warning != "" {
			t.fact("warning", warning)
		}
	})
}

// restoreError says how to cure what kept a backup from being restored.
func restoreError(err error) error {
	switch {
	case errors.Is(err, store.ErrInvalid), errors.Is(err, context.Canceled):
		return err
	default:
		return environmentOf(err)
	}
}

// sealedOtherwise returns a warning if the key file does not open what the store
// holds now: its settings and tokens could not be read.
func sealedOtherwise(ctx context.Context, host config.Host, schema int) string {
	if known, err := sqlite.Schema(); err != nil || known != schema {
		return "" // to look would migrate it, which is for serve to do
	}
	err := opensSettings(ctx, host)
	if err == nil {
		return ""
	}
	text, _ := splitHint(err.Error())
	return text + "; serve needs the key file " + host.Key + " that sealed this backup"
}

// opensSettings reads the settings of an integration with the key file.
func opensSettings(ctx context.Context, host config.Host) (err error) {
	db, err := sqlite.Open(ctx, sqlite.Options{Path: host.Data})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	kept, err := db.Integrations(ctx, store.IntegrationFilter{Limit: 1})
	if err != nil || len(kept) == 0 {
		return err
	}
	keys, err := secret.ReadKeyring(host.Key)
	if err != nil {
		return err
	}
	_, err = config.OpenSettings(keys, kept[0])
	return err
}
