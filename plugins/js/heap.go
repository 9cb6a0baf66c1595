package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

const (
	heapLook    = 10 * time.Millisecond
	heapDefault = 256 << 20
)

// heapGuard ends calls that fill the memory of the process. The language counts memory
// by process and not by call, so it ends the one that has run longest of those that
// run, and looks again.
type heapGuard struct {
	limit uint64

	mu    sync.Mutex     // guards what follows
	turns map[*turn]bool // true: it was told to end
	timer *time.Timer    // of the next look; nil while nobody calls
}

// turn is what the guard knows of a call.
type turn struct {
	end context.CancelCauseFunc

	mu    sync.Mutex // guards what follows
	since time.Time  // it runs; zero: it waits
	ran   time.Duration
}

func newHeapGuard(limit uint64) *heapGuard { return &heapGuard{limit: limit, turns: map[*turn]bool{}} }

// heapLimit is how much memory calls have together: half of what the process has.
func heapLimit() uint64 {
	if all := debug.SetMemoryLimit(-1); all > 0 && all < math.MaxInt64 {
		return min(heapDefault, uint64(all)/2)
	}
	return heapDefault
}

// enter begins a call, which end ends. The guard looks while there are any.
func (g *heapGuard) enter(end context.CancelCauseFunc) *turn {
	t := &turn{end: end}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turns[t] = false
	if g.timer == nil {
		g.timer = time.AfterFunc(heapLook, g.look)
	}
	return t
}

func (g *heapGuard) leave(t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.turns, t)
	if len(g.turns) == 0 {
		g.timer.Stop()
		g.timer = nil
	}
}

// look watches the memory until nobody calls. Most calls are over before its time.
func (g *heapGuard) look() {
	if heapSize() > g.limit {
		runtime.GC() // what nobody holds counts for nobody
		if size := heapSize(); size > g.limit {
			g.relieve(size)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Reset(heapLook)
	}
}

// relieve ends the call that has run longest.
func (g *heapGuard) relieve(size uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var worst *turn
	var longest time.Duration
	for t, told := range g.turns {
		if ran, runs := t.spent(); runs && !told && ran >= longest {
			worst, longest = t, ran
		}
	}
	if worst == nil {
		return
	}
	g.turns[worst] = true
	worst.end(&sdk.Error{Class: sdk.ClassSystem, Code: "function_memory", Message: fmt.Sprintf("the functions hold %d MiB together, %d are allowed: this call has run longest", size>>20, g.limit>>20)})
}

// heapSize is what objects take, those too that nobody has collected yet.
func heapSize() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// on says that the call runs, off that it waits.
func (t *turn) on() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		t.since = time.Now()
	}
}

func (t *turn) off() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.since.IsZero() {
		t.ran += time.Since(t.since)
		t.since = time.Time{}
	}
}

// spent returns how long the call has run, and whether it runs.
func (t *turn) spent() (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		return t.ran, false
	}
	return t.ran + time.Since(t.since), true
}
