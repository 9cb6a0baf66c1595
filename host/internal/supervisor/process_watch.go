package supervisor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// link answers the plugin's requests. A process whose link is lost can end no
// call any more, so it is ended.
func (p *process) link(ctx context.Context) {
	err := p.client.Link(ctx)
	if ctx.Err() == nil && !p.x.await(drainOutput) {
		p.condemn(fmt.Errorf("its link to the host broke: %w", err), false)
	}
}

// lied tells of the first ask of the process in the name of a call that it was never
// given. The ask got nothing.
func (p *process) lied() {
	if p.told.Swap(true) {
		return
	}
	p.sup.tell(store.PluginMove{
		Machine: store.MachineProcess, Plugin: p.binary.Name, Version: p.binary.Version, Digest: p.binary.Digest, PID: p.x.pid(),
		Reason: reasonForged, Detail: "it asks the host in the name of a call that it was never given",
	})
}

// watchHealth ends a process that does not answer.
func (p *process) watchHealth(ctx context.Context) {
	tick := time.NewTicker(p.opts.HealthEvery)
	defer tick.Stop()
	misses := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := p.client.Health(ctx)
		if err == nil {
			if misses > 0 {
				p.recovered()
			}
			misses = 0
			continue
		}
		if ctx.Err() == nil {
			p.become(store.ProcessDegraded, because(reasonHealth, err))
		}
		if misses++; misses >= p.opts.HealthMisses && ctx.Err() == nil {
			p.condemn(fmt.Errorf("%w: it did not answer %d health checks", errUnhealthy, misses), true)
			return
		}
	}
}

// recovered moves the process back to serving, if it was degraded.
func (p *process) recovered() {
	p.moving.Lock()
	degraded := p.state == store.ProcessDegraded
	p.moving.Unlock()
	if degraded {
		p.become(store.ProcessServing, nil)
	}
}
