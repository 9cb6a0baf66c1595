package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/jackfield/jackfield/sdk"
)

// pageTime ends a page of slow commits early, so that a call stays far from the
// host's deadline.
const pageTime = 2 * time.Minute

// segmentBytes ends a segment of long messages early, far from sdk.MaxSegment.
const segmentBytes = 1 << 20

// page is one call's work on a branch.
type page struct {
	*instance
	repo   *repo
	branch string
	stream string
	out    *sdk.Emitter
	pulse  *pulse

	// As the instance says, or less if the host wants that.
	pageSize   int
	checkpoint int

	pos  position
	walk *walk
	sent int         // bytes since the last checkpoint, about
	last sdk.Outcome // LastRecord and its time
}

// ProcessStream imports a page of commits, newest first. The cursor moves when
// the last one of the range is imported.
func (i *instance) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (outcome sdk.Outcome, err error) {
	var b branch
	if err := json.Unmarshal(call.Stream.Data, &b); err != nil {
		return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassSystem, Code: "bad_stream", Message: "stream data: " + err.Error(), Cause: err}
	}
	r, err := openRepo(b.Path)
	if err != nil {
		return sdk.Outcome{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	p := &page{instance: i, repo: r, branch: b.Branch, stream: call.Stream.ID, out: out, pulse: newPulse(sdk.HostFrom(ctx))}
	p.pageSize, p.checkpoint = call.PageLimit(i.pageSize), call.PageLimit(i.checkpoint)
	ready, err := p.begin(ctx, call)
	if err != nil || !ready {
		return sdk.Outcome{}, err
	}
	return p.run(ctx)
}

// begin finds where to start; false if there is nothing to do.
func (p *page) begin(ctx context.Context, call sdk.StreamCall) (bool, error) {
	token := call.Checkpoint
	if token == nil {
		token = call.Page
	}
	if token != nil {
		return true, p.resume(token)
	}
	head, err := p.repo.resolve(p.branch)
	if err != nil {
		return false, warnUnborn(ctx, p.out, p.repo, p.branch, err)
	}
	base, err := p.base(ctx, call.Cursor)
	if err != nil || base == head {
		return false, err
	}
	return true, p.set(head, base)
}

func (p *page) resume(token []byte) error {
	pos, err := decodePosition(token)
	if err != nil {
		return err
	}
	p.pos = pos
	p.walk = newWalk(p.repo, p.repo.shallow, pos.base())
	if err := p.walk.restore(pos.Walk); err != nil {
		return &sdk.Error{Class: sdk.ClassSystem, Code: "bad_page", Message: "page token: " + err.Error(), Cause: err}
	}
	return nil
}

// set starts a walk over base..head, or over all of head if base is zero.
func (p *page) set(head, base plumbing.Hash) error {
	p.pos.V, p.pos.Head, p.pos.Base = stateVersion, head.String(), ""
	if !base.IsZero() {
		p.pos.Base = base.String()
	}
	p.walk = newWalk(p.repo, p.repo.shallow, base)
	return p.walk.start(head)
}

// base returns the commit that the cursor names, or zero if all is to be read.
func (p *page) base(ctx context.Context, raw []byte) (plumbing.Hash, error) {
	if raw == nil {
		return plumbing.ZeroHash, nil
	}
	var c cursor
	if err := json.Unmarshal(raw, &c); err != nil || c.V != stateVersion || !plumbing.IsHash(c.Head) {
		return plumbing.ZeroHash, p.warn(ctx, "the cursor is not readable: all is read again")
	}
	if c.Shallow != "" && c.Shallow != p.repo.shallowID {
		// Commits that were out of reach may be here now.
		sdk.HostFrom(ctx).Log(sdk.LogInfo, "the shallow clone changed: all is read again", "repository", p.repo.path)
		return plumbing.ZeroHash, nil
	}
	head := plumbing.NewHash(c.Head)
	_, err := p.repo.commit(head)
	if absent(err) {
		return plumbing.ZeroHash, p.warnRewritten(ctx, c.Head)
	}
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("read commit %s: %w", head, err)
	}
	return head, nil
}

func (p *page) run(ctx context.Context) (sdk.Outcome, error) {
	started := time.Now()
	for p.walk.more() {
		if err := ctx.Err(); err != nil {
			return sdk.Outcome{}, err
		}
		v, err := p.walk.next()
		if err != nil {
			return sdk.Outcome{}, err
		}
		if err := p.visit(ctx, v); err != nil {
			return sdk.Outcome{}, err
		}
		p.pos.Visited++
		p.pulse.beat(ctx, "reading commits of "+p.branch)
		if !p.walk.more() {
			break
		}
		if p.pos.Visited%p.pageSize == 0 || time.Since(started) > pageTime {
			return p.next()
		}
		if p.pos.Visited%p.checkpoint == 0 || p.sent > segmentBytes {
			if err := p.save(ctx); err != nil {
				return sdk.Outcome{}, err
			}
		}
	}
	return p.finish(ctx)
}

func (p *page) visit(ctx context.Context, v *visit) error {
	if v.old {
		return nil
	}
	if v.commit == nil {
		return p.warn(ctx, fmt.Sprintf("commit %s is gone or not readable: the history ends there", v.hash))
	}
	for _, h := range v.missing {
		if err := p.warn(ctx, fmt.Sprintf("commit %s lacks its parent %s, or it is not readable: the history ends there", v.hash, h)); err != nil {
			return err
		}
	}
	return p.emit(ctx, v)
}

// finish ends the stream, or starts again if the range was not what was added
// since the cursor.
func (p *page) finish(ctx context.Context) (sdk.Outcome, error) {
	if p.pos.Base != "" && !p.walk.reached {
		if err := p.warnRewritten(ctx, p.pos.Base); err != nil {
			return sdk.Outcome{}, err
		}
		if err := p.set(plumbing.NewHash(p.pos.Head), plumbing.ZeroHash); err != nil {
			return sdk.Outcome{}, err
		}
		return p.next()
	}
	raw, err := encode("cursor", cursor{V: stateVersion, Head: p.pos.Head, Shallow: p.repo.shallowID})
	if err != nil {
		return sdk.Outcome{}, err
	}
	p.last.Cursor = raw
	return p.last, nil
}

func (p *page) next() (sdk.Outcome, error) {
	p.pos.Walk = p.walk.encode()
	raw, err := encode("page token", p.pos)
	if err != nil {
		return sdk.Outcome{}, err
	}
	p.last.NextPage = raw
	return p.last, nil
}

func (p *page) save(ctx context.Context) error {
	p.pos.Walk = p.walk.encode()
	raw, err := encode("checkpoint", p.pos)
	if err != nil {
		return err
	}
	p.sent = 0
	return p.out.Checkpoint(ctx, sdk.Checkpoint{Data: raw})
}

func (p *page) warn(ctx context.Context, message string) error {
	return p.out.Warn(ctx, p.stream, message)
}

func (p *page) warnRewritten(ctx context.Context, base string) error {
	return p.warn(ctx, fmt.Sprintf("the history of branch %s was rewritten: it no longer holds %s; all is read again", p.branch, base))
}
