package supervisor

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// triedTenants is how many tenants' processes of a candidate there are at once.
const triedTenants = 4

// candidatePool are the processes of a candidate of which each is given the settings of
// one tenant alone. They end with the trial.
type candidatePool struct {
	sup    *Supervisor
	binary Binary
	book   *logbook

	mu  sync.Mutex // guards all: it is held while one starts
	all []*process // the one that was asked for last at the end
}

// acquire lends an instance in the process of its tenant.
func (c *candidatePool) acquire(ctx context.Context, in sdk.Integration) (*Handle, error) {
	p, err := c.of(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	return p.acquire(ctx, in)
}

// of returns the process of the tenant, which is started if there is none.
func (c *candidatePool) of(ctx context.Context, tenant string) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.all, func(p *process) bool { return p.binary.Tenant == tenant })
	if at >= 0 {
		p := c.all[at]
		c.all = append(slices.Delete(c.all, at, at+1), p)
		return p, nil
	}
	if len(c.all) >= triedTenants {
		if free := slices.IndexFunc(c.all, func(p *process) bool { return !closed(p.x.exited) && p.instances.vacate() }); free >= 0 {
			c.sup.dismiss(ctx, c.all[free])
			c.all = slices.Delete(c.all, free, free+1)
		}
	}
	b := c.binary
	b.Tenant, b.Access = tenant, c.sup.opts.Reach(b.Name, tenant)
	p, err := c.sup.start(ctx, b, c.book)
	if err != nil {
		return nil, fmt.Errorf("start it for tenant %s: %w", tenant, err)
	}
	p.become(store.ProcessInstances, nil)
	c.all = append(c.all, p)
	return p, nil
}

// close ends them, and returns why one has ended before.
func (c *candidatePool) close(ctx context.Context) (err error) {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.all {
		if closed(p.x.exited) && err == nil {
			err = because(reasonEnded, fmt.Errorf("tenant %s: %w", p.binary.Tenant, p.crash()))
		}
		c.sup.dismiss(ctx, p)
	}
	c.all = nil
	return err
}
