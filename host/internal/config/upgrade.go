package config

import "time"

// Incompatible says what happens when a new version of a plugin does not take the
// settings of integrations that the one before took (K18).
type Incompatible string

// What may happen then.
const (
	IncompatibleRefuse Incompatible = "refuse" // the one before goes on
	IncompatiblePark   Incompatible = "park"   // it takes over, and those integrations are parked
)

// Removed says what happens to a plugin whose file is removed.
type Removed string

// What may happen then.
const (
	RemovedStop Removed = "stop" // its calls end, it stops, and its integrations are parked
	RemovedKeep Removed = "keep" // it goes on from the host's copy as long as plugins.lock names it
)

// The bounds of how plugins are exchanged. A call lives for ten minutes at most.
const (
	defaultProbation = 5 * time.Minute
	longestProbation = 30 * 24 * time.Hour
	defaultDrain     = 20 * time.Second
	longestDrain     = 10 * time.Minute
	shortestOfBoth   = time.Second
)

func defaultPlugins(dir string) PluginDir {
	return PluginDir{Dir: dir, Trust: TrustLock, Idle: 10 * time.Minute, Probation: defaultProbation, Drain: defaultDrain, OnIncompatible: IncompatibleRefuse, OnRemove: RemovedStop, Sandbox: Sandbox{Require: "none"}, Memory: defaultMemory, Users: defaultUsers(), MaxProcesses: defaultProcesses}
}

// upgrades reads how a plugin is exchanged for a new version of it.
func (o object) upgrades(p *PluginDir, otherwise PluginDir) {
	p.Probation = o.timeBetween("probation", otherwise.Probation, longestProbation, "such as 5m or 24h")
	p.Drain = o.timeBetween("drain", otherwise.Drain, longestDrain, "such as 20s; no call lives longer than 10m")
	p.OnIncompatible = Incompatible(o.word("on_incompatible", string(otherwise.OnIncompatible), string(IncompatibleRefuse), string(IncompatiblePark)))
	p.OnRemove = Removed(o.word("on_remove", string(otherwise.OnRemove), string(RemovedStop), string(RemovedKeep)))
	if p.OnRemove == RemovedKeep && p.Trust != TrustLock {
		o.src.failAt(CodeBadValue, o.at("on_remove"), "leave it out, or use trust: lock", "%s: keep needs trust: lock, whose list says what goes on", join(o.path, "on_remove"))
		p.OnRemove = RemovedStop
	}
}

// timeBetween reads a time from a second to most.
func (o object) timeBetween(key string, otherwise, most time.Duration, help string) time.Duration {
	text, ok := o.text(key)
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < shortestOfBoth || d > most {
		o.src.failAt(CodeBadValue, o.at(key), help, "%s: %q is not a time between %s and %s", join(o.path, key), short(text), shortestOfBoth, most)
		return otherwise
	}
	return d
}
