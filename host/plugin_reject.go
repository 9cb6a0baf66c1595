package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/discovery"
)

func (c *cli) pluginRejectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reject FILE|NAME|DIGEST...",
		Short: "Keep a program from ever running, or take the consent to it back",
		Long: `Reject notes the digest of a program in plugins.lock: it runs under no trust, is
not approved with --all, and no longer troubles the status. If it was approved it is
not any more, and its process ends when its calls have.

A name stands for the file in the plugin directory that is called so, not for what
serves in its place. It needs no daemon; one that runs follows by itself. Approving
the program takes it back.`,
		Example: "  jackfield plugin reject slack_v1.4.2_linux_amd64",
		Args:    someArgs("FILE|NAME|DIGEST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.reject(cmd.Context(), args)
		},
		ValidArgsFunction: c.complete(completePlugins),
	}
}

// rejected is one program as reject shows it.
type rejected struct {
	Name     string `json:"name"`
	SHA256   string `json:"sha256"`
	File     string `json:"file"`
	Approved bool   `json:"approved"` // it was
	Changed  bool   `json:"changed"`  // false: it was rejected already
}

func (c *cli) reject(ctx context.Context, targets []string) error {
	a, err := c.newApproval()
	if err != nil {
		return err
	}
	var done []rejected
	var errs []error
	for _, target := range targets {
		r, err := a.reject(target)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("reject %s: %w", target, err))
			continue
		}
		done = append(done, r)
	}
	if len(done) > 0 {
		if err := a.lock.Save(a.host.LockFile()); err != nil {
			return environmentError(err, "")
		}
		errs = append(errs, printDone(c, "rejected", done, func(t *table) {
			t.head("NAME", "DIGEST", "APPROVED", "REJECTED")
			for _, r := range done {
				t.row(r.Name, r.SHA256, r.Approved, nowOrBefore(r.Changed))
			}
		}))
	}
	if err := errors.Join(errs...); err != nil {
		return failed(err, "")
	}
	return nil
}

// reject puts one target into the lock.
func (a *approval) reject(target string) (rejected, error) {
	r := rejected{Name: target, SHA256: target}
	if !discovery.ValidDigest(target) {
		path, err := a.find(target)
		if err != nil {
			return r, err
		}
		if r.SHA256, err = discovery.Identify(a.host.Data, a.lock, path); err != nil {
			return r, err
		}
		r.File = path
	}
	entry, approved := a.lock.ByDigest(r.SHA256)
	if approved {
		r.Name, r.Approved = entry.Name, true
	}
	r.Changed = a.lock.Reject(discovery.Rejection{Name: r.Name, SHA256: r.SHA256, RejectedAt: time.Now().UTC().Truncate(time.Second)})
	return r, nil
}
