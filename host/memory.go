package main

import (
	"context"
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
		debug.SetMemoryLimit(memoryLimit)
	}
	if getenv("GOGC") == "" {
		debug.SetGCPercent(memoryPercent)
	}
}

// keepMemory gives memory back whenever work has ended, until ctx ends. The start is
// work too.
func keepMemory(ctx context.Context) error {
	return whenQuiet(ctx, allocated, func() {
		debug.FreeOSMemory()
		dropProgram()
	})
}

// whenQuiet calls free each time that allocated stops rising, or does not rise at first. Without it the
// collector would not run before more is allocated, and a daemon that has nothing
// to do would go on holding what its last sync took.
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
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
