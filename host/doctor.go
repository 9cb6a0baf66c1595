package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) doctorCommand() *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the configuration, the files, the plugins and the disk",
		Long: `Check what the daemon needs: the configuration, the modes of files, the plugins, the disk.

It works without the daemon and changes nothing. With --deep the daemon, if it runs, also looks through all
that is stored for what must never be. Exits with 3 if something failed, with 1 if the store is not sound.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.doctor(cmd.Context(), deep)
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "start each approved plugin once, and have the daemon look through the store")
	return cmd
}

// The results of a check.
const (
	checkOK      = "ok"
	checkWarning = "warning"
	checkFailed  = "failed"
)

// check is one thing that was looked at.
type check struct {
	group  string
	name   string
	status string
	text   string
	hint   string
}

// checkup looks at one thing after the other.
type checkup struct {
	c      *cli
	group  string
	checks []check
	// unsound is set when the store holds what must never be.
	unsound bool
}

func (u *checkup) ok(name, format string, args ...any) {
	u.add(name, checkOK, fmt.Sprintf(format, args...), "")
}

func (u *checkup) warn(name, text, hint string) { u.add(name, checkWarning, text, hint) }

func (u *checkup) fail(name, text, hint string) { u.add(name, checkFailed, text, hint) }

// failWith is fail for an error, which may have its hint in it.
func (u *checkup) failWith(name string, err error) {
	text, hint := splitHint(err.Error())
	u.fail(name, text, hint)
}

func (u *checkup) add(name, status, text, hint string) {
	if hint == "" {
		text, hint = splitHint(text)
	}
	u.checks = append(u.checks, check{group: u.group, name: name, status: status, text: text, hint: hint})
}

func (u *checkup) count(status string) int {
	n := 0
	for _, ch := range u.checks {
		if ch.status == status {
			n++
		}
	}
	return n
}

func (c *cli) doctor(ctx context.Context, deep bool) error {
	u := &checkup{c: c}
	u.group = "Config"
	snap, ok := u.checkConfig()
	if ok {
		u.group = "Files"
		u.checkFiles(snap.Host)
		u.group = "Plugins"
		if err := u.checkPlugins(ctx, snap.Host, deep); err != nil {
			return err
		}
		u.group = "Store"
		u.checkStore(snap.Host)
		u.group = "Daemon"
		if running := u.checkDaemon(ctx); running && deep {
			u.verifyStore(ctx)
		}
	}
	if err := u.print(); err != nil {
		return err
	}
	if u.unsound {
		return silent(exitFailed)
	}
	if u.count(checkFailed) > 0 {
		return silent(exitEnvironment)
	}
	return nil
}

func (u *checkup) print() error {
	failed, warnings, fine := u.count(checkFailed), u.count(checkWarning), u.count(checkOK)
	if u.c.output == "table" {
		return u.c.printTable(func(t *table) {
			group := ""
			for _, ch := range u.checks {
				title := ""
				if ch.group != group {
					group, title = ch.group, ch.group
				}
				t.row(blank(title), shownStatus(ch.status), ch.name, ch.text)
				if ch.hint != "" {
					t.row(blank(""), blank(""), blank(""), "hint: "+ch.hint)
				}
			}
			t.line(fmt.Sprintf("%d failed, %s, %d ok", failed, counted(warnings, "warning"), fine))
		})
	}
	list := make([]any, len(u.checks))
	for i, ch := range u.checks {
		list[i] = object{
			{"group", strings.ToLower(ch.group)}, {"check", ch.name}, {"status", ch.status}, {"message", ch.text}, {"hint", ch.hint},
		}
	}
	return u.c.printValue(object{
		{"ok", failed == 0}, {"failed", failed}, {"warnings", warnings}, {"checks", list},
	})
}

// shownStatus makes the one that matters stand out.
func shownStatus(status string) string {
	switch status {
	case checkFailed:
		return "FAIL"
	case checkWarning:
		return "warn"
	default:
		return status
	}
}
