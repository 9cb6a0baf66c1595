package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/sdk"
)

const maxStreamID = 200

// instance reads the repositories of one integration. It keeps nothing between
// calls.
type instance struct {
	plan       plan
	pageSize   int
	checkpoint int
}

var (
	_ sdk.Instance = (*instance)(nil)
	_ sdk.Checker  = (*instance)(nil)
)

// Check opens each repository and finds each branch that is named.
func (i *instance) Check(ctx context.Context) error {
	for _, path := range i.plan.paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := i.checkRepo(path); err != nil {
			return err
		}
	}
	return nil
}

func (i *instance) checkRepo(path string) (err error) {
	r, err := openRepo(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	names, err := i.wanted(r)
	if err != nil {
		return badRepo(path, err)
	}
	for _, name := range names {
		_, err := r.resolve(name)
		if errors.Is(err, errNoBranch) {
			return noBranch(r, name)
		}
		if err != nil && !errors.Is(err, errNoCommit) {
			return badRepo(path, err)
		}
	}
	return nil
}

func noBranch(r *repo, name string) error {
	hint := "the repository has no branch"
	if have, err := r.branches(); err == nil && len(have) > 0 {
		more := ""
		if len(have) > 10 {
			have, more = have[:10], ", ..."
		}
		hint = "it has " + strings.Join(have, ", ") + more
	}
	return &sdk.Error{Class: sdk.ClassConfig, Code: "no_branch", Message: fmt.Sprintf("repository %s: no branch %s (hint: %s)", r.path, name, hint), Cause: errNoBranch}
}

// wanted returns the branches of r to read, each once.
func (i *instance) wanted(r *repo) ([]string, error) {
	if len(i.plan.branches) == 0 {
		name, err := r.head()
		return []string{name}, err
	}
	var names []string
	for _, b := range i.plan.branches {
		if b != allBranches {
			names = append(names, b)
			continue
		}
		all, err := r.branches()
		if err != nil {
			return nil, err
		}
		names = append(names, all...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// GetStreams plans a stream for each branch of each repository.
func (i *instance) GetStreams(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
	if !slices.Contains(call.Run.Connectors, connector) {
		return nil
	}
	for _, path := range i.plan.paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := i.planRepo(ctx, path, out); err != nil {
			return err
		}
	}
	return nil
}

func (i *instance) planRepo(ctx context.Context, path string, out *sdk.Emitter) (err error) {
	r, err := openRepo(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	names, err := i.wanted(r)
	if err != nil {
		return badRepo(path, err)
	}
	if len(names) == 0 {
		return out.Warn(ctx, r.id, fmt.Sprintf("repository %s: no branches", path))
	}
	for _, name := range names {
		if _, err := r.resolve(name); err != nil {
			if err := warnUnborn(ctx, out, r, name, err); err != nil {
				return err
			}
			continue
		}
		data, err := encode("stream data", branch{Path: path, Branch: name})
		if err != nil {
			return err
		}
		id := streamID(r, name)
		if err := out.Stream(ctx, sdk.Stream{ID: id, Connector: connector, Data: data, Partition: id}); err != nil {
			return err
		}
	}
	return nil
}

// streamID names a branch of a repository at a path: short, and the same in
// every run.
func streamID(r *repo, name string) string {
	id := r.id + "/" + name
	if len(id) > maxStreamID {
		id = r.id + "/" + shortHash(name)
	}
	return id
}

// warnUnborn turns the error of a branch without commits into a warning.
func warnUnborn(ctx context.Context, out *sdk.Emitter, r *repo, name string, err error) error {
	if errors.Is(err, errNoBranch) || errors.Is(err, errNoCommit) {
		return out.Warn(ctx, streamID(r, name), fmt.Sprintf("repository %s, branch %s: %v", r.path, name, err))
	}
	return badRepo(r.path, err)
}
