//go:build linux

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// wayOut is the Egress of one process, which notes what it is told.
type wayOut struct {
	mu     sync.Mutex // guards what follows
	named  string
	open   map[string]int // by integration and revision
	closed bool
}

func (*wayOut) Env() []string { return []string{"JACKFIELD_EGRESS=/the/socket"} }

func (w *wayOut) Describe(m sdk.Manifest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.named = m.Name
}

func (w *wayOut) Open(in sdk.Integration) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := fmt.Sprintf("%s@%d", in.ID, in.Revision)
	w.open[key]++
	var once sync.Once
	return func() {
		once.Do(func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.open[key]--; w.open[key] == 0 {
				delete(w.open, key)
			}
		})
	}
}

func (w *wayOut) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// holds returns the integrations that the process has open.
func (w *wayOut) holds() (keys []string, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.open {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, w.closed
}

// rows: P09
//
// The way out of a process is told for whom the process works, from before it has
// their settings until it has closed them, and ends with it.
func TestTheWayOutKnowsForWhomAProcessWorks(t *testing.T) {
	t.Parallel()
	ways := make(chan *wayOut, 8)
	s := setup(t, func(o *Options) {
		o.IdleInstances = 2
		o.Egress = func(_ context.Context, _ Binary, dir string) (Egress, error) {
			info, err := os.Stat(dir)
			if err != nil || !info.IsDir() {
				return nil, errors.New("there is no directory")
			}
			w := &wayOut{open: map[string]int{}}
			ways <- w
			return w, nil
		}
	})
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	w := <-ways
	require.Equal(t, "zoo-ok", w.named)
	require.Contains(t, s.call(t, "zoo-ok", "look"), "JACKFIELD_EGRESS=/the/socket")
	holds := func(want ...string) func() bool {
		return func() bool {
			got, _ := w.holds()
			return slices.Equal(want, got)
		}
	}
	eventually := func(ok func() bool) {
		t.Helper()
		require.Eventually(t, ok, 20*time.Second, 5*time.Millisecond)
	}
	for _, in := range s.Opened() {
		s.Forget(in.ID, in.Revision)
	}
	eventually(holds())
	use := func(id string, revision int64) *Handle {
		t.Helper()
		h, err := s.Acquire(t.Context(), "zoo-ok", sdk.Integration{Tenant: "acme", Name: id, ID: id, Revision: revision})
		require.NoError(t, err)
		return h
	}
	a, b := use("a", 1), use("b", 1)
	eventually(holds("a@1", "b@1"))
	a.Release()
	eventually(holds("a@1", "b@1")) // idle, but open
	use("a", 2).Release()
	eventually(holds("a@2", "b@1"))
	s.Forget("b", 1)
	s.Forget("b", 7)
	got, _ := w.holds()
	require.Equal(t, []string{"a@2", "b@1"}, got, "it is in use")
	b.Release()
	eventually(holds("a@2"))
	use("c", 1).Release()
	use("d", 1).Release()
	eventually(holds("c@1", "d@1")) // the longest idle one was closed

	// What is only tried is open for as long as that takes.
	h, err := s.Acquire(t.Context(), "zoo-ok", sdk.Integration{Tenant: "acme", Name: "e", ID: "e"})
	require.NoError(t, err)
	eventually(holds("c@1", "d@1", "e@0"))
	h.Release()
	eventually(holds("c@1", "d@1"))
	_, closed := w.holds()
	require.False(t, closed)

	// A process for one call has its own, which knows of that call alone.
	alone, err := s.AcquireAlone(t.Context(), "zoo-ok", sdk.Integration{Tenant: "acme", Name: "f", ID: "f", Revision: 1})
	require.NoError(t, err)
	own := <-ways
	got, _ = own.holds()
	require.Equal(t, []string{"f@1"}, got)
	alone.Release()
	eventually(func() bool { _, closed := own.holds(); return closed })

	s.stop()
	_, closed = w.holds()
	require.True(t, closed)
}

// rows: P09
func TestAProcessWithoutItsWayOutDoesNotStart(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) {
		o.Egress = func(context.Context, Binary, string) (Egress, error) { return nil, errors.New("no socket") }
	})
	require.ErrorContains(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}), "no socket")
}
