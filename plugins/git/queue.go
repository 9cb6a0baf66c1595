package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// queue is a heap of visits, the newest on top; of the same second, the one
// that came first.
type queue []*visit

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return compare(q[i], q[j]) < 0 }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push is for package heap.
func (q *queue) Push(v any) { *q = append(*q, v.(*visit)) }

// Pop is for package heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	v := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return v
}

func (q queue) sorted() []*visit {
	out := slices.Clone(q)
	slices.SortFunc(out, compare)
	return out
}

func compare(a, b *visit) int {
	return cmp.Or(cmp.Compare(b.when, a.when), cmp.Compare(a.order, b.order))
}

// recent remembers the last keys that were added, up to a number.
type recent struct {
	max  int
	keys []uint64 // a ring once it is full
	at   int      // the oldest
	set  map[uint64]struct{}
}

func newRecent(limit int) recent { return recent{max: limit, set: map[uint64]struct{}{}} }

func (r *recent) has(k uint64) bool {
	_, ok := r.set[k]
	return ok
}

func (r *recent) add(k uint64) {
	if r.has(k) {
		return
	}
	r.set[k] = struct{}{}
	if len(r.keys) < r.max {
		r.keys = append(r.keys, k)
		return
	}
	delete(r.set, r.keys[r.at])
	r.keys[r.at] = k
	r.at = (r.at + 1) % r.max
}

func (r *recent) append(out []byte) []byte {
	out = binary.AppendUvarint(out, uint64(len(r.keys)))
	for i := range r.keys {
		out = binary.BigEndian.AppendUint64(out, r.keys[(r.at+i)%len(r.keys)])
	}
	return out
}

func (r *recent) restore(d *decoder) {
	for range d.count(8) {
		if b := d.bytes(8); d.err == nil {
			r.add(binary.BigEndian.Uint64(b))
		}
	}
}

// key is a commit's short name in a memory: 63 bits of its hash, and old.
func key(h plumbing.Hash, old bool) uint64 {
	return binary.BigEndian.Uint64(h[:8])&^1 | uint64(flag(old))
}

// decoder reads an encoding; after its end all it returns is zero.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) bytes(n int) []byte {
	if len(d.rest) < n {
		d.rest, d.err = nil, errors.New("state is cut short")
		return make([]byte, n)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) flag() bool { return d.bytes(1)[0] == 1 }

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.bytes(max(n, 1))
	return v
}

// count reads the length of a list whose items have at least size bytes.
func (d *decoder) count(size int) int {
	v, n := binary.Uvarint(d.rest)
	d.bytes(max(n, 1))
	if v > math.MaxInt32 || int(v) > len(d.rest)/size {
		d.rest, d.err = nil, errors.New("state is cut short")
		return 0
	}
	return int(v)
}
