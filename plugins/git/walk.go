package main

import (
	"container/heap"
	"encoding/binary"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	seenSize = 256 // the last visited commits that are remembered
	markSize = 512 // of those before, some: landmarks
	markOf   = 64  // one commit of so many is a landmark
	lateSize = 256 // the last commits remembered that are newer than a child
)

// commits is what a walk reads from.
type commits interface {
	commit(plumbing.Hash) (*object.Commit, error)
}

// walk visits the commits that head reaches and base does not, newest first, as
// git rev-list base..head does. Its whole state is the frontier and two short
// memories, so it is as small after a million commits as at the start, and it
// goes on from its encoding as if it had never stopped.
//
// A history whose dates fall from child to parent is visited without a
// repetition: all children of a commit have left the frontier before it does.
// Where clocks were wrong, a commit may be met again when it is forgotten. Then
// it is visited again, and its ancestors down to the next landmark; and base may
// be noticed too late to leave out all that it reaches. No commit of the range is
// ever left out.
type walk struct {
	from    commits
	base    plumbing.Hash // zero if there is none
	shallow map[plumbing.Hash]bool

	queue   queue
	known   map[plumbing.Hash]*visit // what is in queue
	fresh   int                      // visits in queue that are not old
	order   uint64
	seen    recent
	marks   recent
	late    recent
	reached bool // base is an ancestor of head
}

// visit is a commit on the frontier.
type visit struct {
	hash     plumbing.Hash
	when     int64 // seconds, of the committer
	old      bool  // base reaches it
	order    uint64
	commit   *object.Commit // nil until it is needed
	boundary bool           // its parents are not here
	missing  []plumbing.Hash
}

func newWalk(from commits, shallow map[plumbing.Hash]bool, base plumbing.Hash) *walk {
	return &walk{
		from: from, base: base, shallow: shallow,
		known: map[plumbing.Hash]*visit{},
		seen:  newRecent(seenSize), marks: newRecent(markSize), late: newRecent(lateSize),
	}
}

// start sets out from head.
func (w *walk) start(head plumbing.Hash) error {
	if err := w.add(head, false, nil); err != nil {
		return err
	}
	if w.base.IsZero() {
		return nil
	}
	return w.add(w.base, true, nil)
}

// more reports whether there is a commit left to visit.
func (w *walk) more() bool { return w.fresh > 0 }

// next visits a commit. An old one is to be passed over; one without commit is
// gone from the repository since it entered the frontier.
func (w *walk) next() (*visit, error) {
	v := heap.Pop(&w.queue).(*visit)
	delete(w.known, v.hash)
	if !v.old {
		w.fresh--
	}
	w.remember(v)
	if v.commit == nil {
		c, err := w.from.commit(v.hash)
		if absent(err) {
			return v, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read commit %s: %w", v.hash, err)
		}
		v.commit = c
	}
	if w.shallow[v.hash] {
		v.boundary = len(v.commit.ParentHashes) > 0
		return v, nil
	}
	for _, p := range v.commit.ParentHashes {
		w.reached = w.reached || p == w.base && !v.old
		err := w.add(p, v.old, v)
		if absent(err) {
			v.boundary = true
			v.missing = append(v.missing, p)
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// add puts a commit on the frontier unless it is there or was visited.
func (w *walk) add(h plumbing.Hash, old bool, child *visit) error {
	if v := w.known[h]; v != nil {
		if old && !v.old {
			v.old = true
			w.fresh--
		}
		return nil
	}
	if w.visited(h, true) || !old && w.visited(h, false) {
		return nil
	}
	c, err := w.from.commit(h)
	if err != nil {
		return fmt.Errorf("read commit %s: %w", h, err)
	}
	v := &visit{hash: h, when: c.Committer.When.Unix(), old: old, order: w.order, commit: c}
	if child != nil && v.when >= child.when {
		// It may have been visited long ago. Once more does no harm; each time
		// that a child comes by would never end.
		if w.late.has(key(h, old)) {
			return nil
		}
		w.late.add(key(h, old))
	}
	if old {
		v.commit = nil // read again when its turn comes: few of them are wide apart
	}
	w.order++
	w.known[h] = v
	if !old {
		w.fresh++
	}
	heap.Push(&w.queue, v)
	return nil
}

func (w *walk) remember(v *visit) {
	k := key(v.hash, v.old)
	w.seen.add(k)
	if k>>1%markOf == 0 {
		w.marks.add(k)
	}
}

// visited reports whether h is remembered, as an old one or not.
func (w *walk) visited(h plumbing.Hash, old bool) bool {
	k := key(h, old)
	return w.seen.has(k) || w.marks.has(k)
}

// encode returns the state of the walk.
func (w *walk) encode() []byte {
	frontier := w.queue.sorted()
	out := binary.AppendUvarint(nil, uint64(len(frontier)))
	for _, v := range frontier {
		out = append(out, v.hash[:]...)
		out = append(out, flag(v.old))
		out = binary.AppendVarint(out, v.when)
	}
	out = w.seen.append(out)
	out = w.marks.append(out)
	out = w.late.append(out)
	return append(out, flag(w.reached))
}

// restore takes the state that encode returned.
func (w *walk) restore(state []byte) error {
	d := decoder{rest: state}
	for range d.count(len(plumbing.ZeroHash) + 2) {
		v := &visit{order: w.order}
		copy(v.hash[:], d.bytes(len(v.hash)))
		v.old = d.flag()
		v.when = d.varint()
		w.order++
		if w.known[v.hash] == nil && d.err == nil {
			w.known[v.hash] = v
			w.queue = append(w.queue, v)
			if !v.old {
				w.fresh++
			}
		}
	}
	w.seen.restore(&d)
	w.marks.restore(&d)
	w.late.restore(&d)
	w.reached = d.flag()
	heap.Init(&w.queue)
	return d.err
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
