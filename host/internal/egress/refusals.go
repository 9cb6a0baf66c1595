package egress

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	tellEvery  = time.Minute
	toldHosts  = 256 // that are told apart
	otherHosts = "others"
)

// refusals tell of what one process was refused: once a minute a host, with how often
// it was.
type refusals struct {
	log hclog.Logger
	now func() time.Time

	mu   sync.Mutex // guards what follows
	told map[string]*refusal
}

type refusal struct {
	at   time.Time // when it was told last
	more int       // since then
}

func newRefusals(opts ProxyOptions) *refusals {
	log := opts.Log.With("plugin", opts.Plugin)
	if opts.Tenant != "" {
		log = log.With("tenant", opts.Tenant)
	}
	return &refusals{log: log, now: opts.Now, told: map[string]*refusal{}}
}

// tell logs a refusal, or counts it.
func (r *refusals) tell(target string, f fault) {
	target = clean(target)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.told[target] == nil && len(r.told) >= toldHosts {
		target = otherHosts
	}
	known := r.told[target]
	if known == nil {
		known = &refusal{}
		r.told[target] = known
	}
	if !known.at.IsZero() && now.Sub(known.at) < tellEvery {
		known.more++
		return
	}
	r.log.Warn("connection of a plugin refused", "host", target, "code", f.Code, "why", f.Message, "more", known.more)
	known.at, known.more = now, 0
}
