package runner

import "sync"

// turn is a hold that the worker can end as well: a run that gives way to another
// of its lane.
type turn struct {
	Hold
	over chan struct{}
	once sync.Once // of over
	done chan struct{}
	wait sync.WaitGroup
}

// newTurn returns a turn under the hold, which is to be closed.
func newTurn(hold Hold) *turn {
	t := &turn{Hold: hold, over: make(chan struct{}), done: make(chan struct{})}
	t.wait.Go(func() {
		select {
		case <-hold.Yield():
			t.end()
		case <-t.done:
		}
	})
	return t
}

// Yield implements Hold.
func (t *turn) Yield() <-chan struct{} { return t.over }

// end asks those who work to end at the next segment boundary.
func (t *turn) end() { t.once.Do(func() { close(t.over) }) }

// close ends what newTurn started.
func (t *turn) close() {
	close(t.done)
	t.wait.Wait()
}
