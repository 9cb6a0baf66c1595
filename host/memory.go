package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryLimit is what the collector tries to stay below. The database's pages
	// and the program itself come on top, so that the daemon stays below 150 MB.
	memoryLimit = 72 << 20
	// memoryPercent is how much garbage the collector lets gather, of what is in
	// use. That is little here, and the limit holds all the same.
	memoryPercent = 200
	// memoryEvery is how often the daemon looks whether it has become quiet.
	memoryEvery = 2 * time.Second
	// memoryLoud is what is allocated between two looks when there is work.
	memoryLoud = 8 << 20
)

// limitMemory sets how much memory the daemon uses, unless GOMEMLIMIT and GOGC
// say otherwise.
func limitMemory(getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		limit := int64(memoryLimit)
		debug.SetMemoryLimit(limit)
		afterCollection(func() {
			if now := memoryFor(inUse(), overhead()); now != limit {
				limit = now
				debug.SetMemoryLimit(limit)
			}
		})
	}
	if getenv("GOGC") == "" {
		debug.SetGCPercent(memoryPercent)
	}
}

// memoryFor returns the limit for so many bytes in use, and so many that hold no
// objects and count too. A limit with too little room for garbage would keep the
// collector running for ever.
func memoryFor(used, rest uint64) int64 {
	const step = 16 << 20                                             // it is not set anew for every few bytes
	return max(memoryLimit, int64(rest+used+used/2+step-1)/step*step) //nolint:gosec // no memory has 2^62 bytes
}

// afterCollection calls fn after each run of the collector, as long as the process is
// there.
func afterCollection(fn func()) {
	type marker struct{ _ *marker }
	runtime.AddCleanup(&marker{}, func(fn func()) {
		fn()
		afterCollection(fn)
	}, fn)
}

// keepMemory gives memory back whenever work has ended, until ctx ends. The start is
// work too.
func keepMemory(ctx context.Context) error {
	return whenQuiet(ctx, allocated, func() {
		debug.FreeOSMemory()
		dropProgram()
	})
}

// whenQuiet calls free each time that allocated stops rising, or does not rise at
// first. Without it the collector would not run before more is allocated, and a daemon
// that has nothing to do would go on holding what its last sync took.
func whenQuiet(ctx context.Context, allocated func() uint64, free func()) error {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	loud := true
	last := allocated()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := allocated()
		was := loud
		if loud = now-last >= memoryLoud; was && !loud {
			free()
		}
		last = now
	}
}

// allocated returns the bytes that were allocated since the process began.
func allocated() uint64 { return metric("/gc/heap/allocs:bytes") }

// inUse returns the bytes that the collector found in use the last time.
func inUse() uint64 { return metric("/gc/heap/live:bytes") }

// overhead returns the bytes that count for the limit and hold no objects: gaps between
// them, stacks, and what the runtime needs itself.
func overhead() uint64 {
	less := metric("/memory/classes/heap/released:bytes") + metric("/memory/classes/heap/free:bytes") + metric("/memory/classes/heap/objects:bytes")
	all := metric("/memory/classes/total:bytes")
	return all - min(all, less) // they are not read at one time
}

func metric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
