package runner

import (
	"slices"
	"sync"

	"github.com/jackfield/jackfield/store"
)

// workload is what of a run is at work. The worker of the run and its calls share it.
type workload struct {
	mu       sync.Mutex // guards what follows
	inFlight int        // calls
	extra    int        // places beside those of calls, for what is being claimed
	segments int        // applied by calls that are over
	alone    bool       // one of the run's own calls is in flight: nothing is due beside it
	closed   bool       // nothing more is begun
}

// reserve asks take for places for a claim, of which there may be most with what is
// at work, and returns how many it got.
func (w *workload) reserve(most int, take func(room int) int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := take(most - w.inFlight - w.extra)
	w.extra += n
	return n
}

// begun counts the streams of a claim for which there were so many places.
func (w *workload) begun(reserved int, streams []store.Stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.extra -= reserved
	w.begin(streams)
}

// begin counts streams that are worked from now on. The caller holds mu.
func (w *workload) begin(streams []store.Stream) {
	w.inFlight += len(streams)
	w.alone = w.alone || slices.ContainsFunc(streams, func(s store.Stream) bool { return s.Type.System() })
}

// ended counts a call that is over, and the streams that were claimed with its end.
func (w *workload) ended(d streamDone) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inFlight--
	w.extra -= max(d.asked-1, 0)
	w.segments += d.segments
	if d.system {
		w.alone = false
	}
	w.begin(d.applied.Next)
}

// close says that the run's lane cannot go on.
func (w *workload) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// idle reports whether no call is in flight.
func (w *workload) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inFlight == 0
}

// exclusive reports whether nothing is due beside what is in flight.
func (w *workload) exclusive() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.alone
}

// applied returns how many segments were.
func (w *workload) applied() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.segments
}

// hand asks take for places for a call that ends, of which there may be most, and
// keeps in mind how many it got. A call of the run's own is alone. last says that
// there is no other call, nor one to come.
func (w *workload) hand(most int, system bool, take func(room int) int) (n int, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.alone && !system {
		return 0, false
	}
	last = w.inFlight == 1 && w.extra == 0
	n = take(most - w.inFlight - w.extra + 1)
	w.extra += max(n-1, 0)
	return n, last
}
