package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/store"
)

// database is what members are made of and kept in.
type database interface {
	DueMembers(ctx context.Context, after int64, n int) ([]store.MemberCursor, error)
	MemberChanges(ctx context.Context, c store.MemberCursor, n int) (changes []store.MemberChange, through int64, err error)
	SourcesByID(ctx context.Context, sources []int64) ([]store.MemberSource, error)
	SourcesOfMembers(ctx context.Context, members []int64) ([]store.MemberSource, error)
	ClaimsOf(ctx context.Context, sources []int64) ([]store.Claim, error)
	Claimants(ctx context.Context, tenantID int64, keys []store.Claim, n int) ([]store.Claim, error)
	SplitsOf(ctx context.Context, tenantID int64, sources []store.MemberSource) ([]store.Claim, error)
	MemberStep(ctx context.Context, step store.MemberStep) error
	ClearMembers(ctx context.Context, from store.MemberCursor, n int) error
	MarkLostSources(ctx context.Context, after int64, n int) (int64, error)
}

// Options of a Projector. The zero value means the documented defaults.
type Options struct {
	Batch int           // records a step; 200 if zero
	Rest  time.Duration // between two looks for work; 1s if zero, more after a long one
	Sweep time.Duration // between two looks for records that went without a word; 1h if zero
	// Changed returns a channel that is closed at the next change of the store.
	Changed func() <-chan struct{}
	Log     hclog.Logger
}

// Projector makes members.
type Projector struct {
	db   database
	opts Options
}

// New returns a Projector that is not running yet.
func New(db database, opts Options) *Projector {
	opts.Batch = cmp.Or(opts.Batch, 200)
	opts.Rest = cmp.Or(opts.Rest, time.Second)
	opts.Sweep = cmp.Or(opts.Sweep, time.Hour)
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	if opts.Changed == nil {
		opts.Changed = func() <-chan struct{} { return nil }
	}
	return &Projector{db: db, opts: opts}
}

// pace is how much longer than a look for work the rest after it is: what is done
// here leaves the machine to the work.
const pace = 10

// Run makes members until ctx ends. An error is logged, and tried again.
func (p *Projector) Run(ctx context.Context) error {
	var swept time.Time
	for {
		changed := p.opts.Changed()
		began := time.Now()
		var err error
		if swept.IsZero() || began.Sub(swept) >= p.opts.Sweep {
			if err = p.Sweep(ctx); err == nil {
				swept = began
			}
		}
		more, caught := p.CatchUp(ctx)
		if err = errors.Join(err, caught); err != nil && ctx.Err() == nil {
			p.opts.Log.Error("make members", "error", err)
		}
		if !p.rest(ctx, max(p.opts.Rest, pace*time.Since(began)), changed, more) {
			return nil
		}
	}
}

// rest waits for that long and then, unless there is more to do, for a change or
// the next sweep. It returns false when ctx ends.
func (p *Projector) rest(ctx context.Context, d time.Duration, changed <-chan struct{}, more bool) bool {
	if more { // a step is short: the pause is not for it
		d = p.opts.Rest / 20
	}
	pause := time.NewTimer(d)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-pause.C:
	}
	if more {
		return true
	}
	sweep := time.NewTimer(p.opts.Sweep)
	defer sweep.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-sweep.C:
	}
	return true
}

// tenants is how many tenants one look returns.
const tenants = 100

// CatchUp makes one step for each tenant whose members are behind. It reports
// whether there was one.
func (p *Projector) CatchUp(ctx context.Context) (more bool, err error) {
	for after := int64(0); ; {
		due, err := p.db.DueMembers(ctx, after, tenants)
		if err != nil {
			return more, err
		}
		for _, c := range due {
			more, after = true, c.TenantID
			// Somebody else may have made the step, or a person changed something: the
			// next look tells.
			if err := p.step(ctx, c); err != nil && !errors.Is(err, store.ErrConflict) {
				return false, err
			}
		}
		if len(due) < tenants {
			return more, nil
		}
	}
}

// clearing is how many sources are taken away at once before members are made anew.
const clearing = 500

func (p *Projector) step(ctx context.Context, c store.MemberCursor) error {
	if c.Position < 0 {
		return p.db.ClearMembers(ctx, c, clearing)
	}
	changes, through, err := p.db.MemberChanges(ctx, c, p.opts.Batch)
	if err != nil {
		return err
	}
	pl := &plan{db: p.db, tenant: c.TenantID}
	step, err := pl.make(ctx, changes)
	if err != nil {
		return fmt.Errorf("members of tenant %s: %w", c.Tenant, err)
	}
	step.From, step.Through = c, through
	return p.db.MemberStep(ctx, step)
}

// swept is how many sources one look goes through.
const swept = 1000

// Sweep looks for sources whose records went without the feed's saying so.
func (p *Projector) Sweep(ctx context.Context) error {
	for at := int64(0); ; {
		last, err := p.db.MarkLostSources(ctx, at, swept)
		if err != nil {
			return err
		}
		if last == 0 {
			return nil
		}
		at = last
	}
}
