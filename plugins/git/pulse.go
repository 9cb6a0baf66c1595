package main

import (
	"context"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

const (
	pulseEvery = 5 * time.Second
	pulseGrace = time.Minute
)

// pulse tells the host that a long call is alive, seldom enough to cost nothing.
type pulse struct {
	host sdk.Host
	last time.Time
}

func newPulse(h sdk.Host) *pulse { return &pulse{host: h, last: time.Now()} }

// beat is called wherever work gets on. An answer is not needed: a host that is
// gone cancels the call.
func (p *pulse) beat(ctx context.Context, what string) {
	now := time.Now()
	if now.Sub(p.last) < pulseEvery {
		return
	}
	p.last = now
	_ = p.host.Progress(ctx, what, now.Add(pulseGrace))
}
