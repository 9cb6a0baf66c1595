package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Bounds of the work on one commit. What is beyond them counts as a file but
// not its lines, and the commit says how many such files it has.
const (
	maxBlob     = 1 << 20 // bytes of one file
	maxBlobs    = 64 << 20
	maxFiles    = 5000
	maxDepth    = 500
	binaryProbe = 8000 // git takes a file with a NUL in this many bytes for binary
)

// counts is what a commit changed.
type counts struct {
	insertions, deletions, files int
	uncounted                    int // files whose lines were not counted
}

// change is a file that differs; the zero entry where it does not exist.
type change struct {
	from, to object.TreeEntry
}

// differ counts the lines that two trees differ by, as git log --numstat does.
// Files that only moved count no lines.
type differ struct {
	repo    *repo
	beat    func() // called as the work gets on
	changes []change
	out     counts
	bytes   int64 // read so far
}

func newDiffer(r *repo, beat func()) *differ { return &differ{repo: r, beat: beat} }

func (d *differ) count(ctx context.Context, from, to plumbing.Hash) (counts, error) {
	if err := d.trees(ctx, from, to, 0); err != nil {
		return counts{}, err
	}
	d.dropMoved()
	for _, c := range d.changes {
		if err := ctx.Err(); err != nil {
			return counts{}, err
		}
		d.beat()
		if err := d.lines(c); err != nil {
			return counts{}, err
		}
	}
	return d.out, nil
}

// trees gathers the changes between two trees; the zero hash is an empty one.
func (d *differ) trees(ctx context.Context, from, to plumbing.Hash, depth int) error {
	if from == to || depth > maxDepth {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	d.beat()
	a, err := d.entries(from)
	if err != nil {
		return err
	}
	b, err := d.entries(to)
	if err != nil {
		return err
	}
	for len(a) > 0 || len(b) > 0 {
		var x, y object.TreeEntry
		order := compareEntries(a, b)
		if order <= 0 {
			x, a = a[0], a[1:]
		}
		if order >= 0 {
			y, b = b[0], b[1:]
		}
		if err := d.pair(ctx, x, y, depth); err != nil {
			return err
		}
	}
	return nil
}

// pair takes what stands under one name in two trees.
func (d *differ) pair(ctx context.Context, x, y object.TreeEntry, depth int) error {
	switch {
	case x.Hash == y.Hash && x.Mode == y.Mode:
		return nil
	case x.Mode == filemode.Dir || y.Mode == filemode.Dir: // both, or the other is nothing
		return d.trees(ctx, x.Hash, y.Hash, depth+1)
	}
	d.out.files++
	if len(d.changes) == maxFiles {
		d.out.uncounted++
		return nil
	}
	d.changes = append(d.changes, change{from: x, to: y})
	return nil
}

func (d *differ) entries(h plumbing.Hash) ([]object.TreeEntry, error) {
	entries, err := d.repo.tree(h)
	if errors.Is(err, plumbing.ErrObjectNotFound) || errors.Is(err, object.ErrMalformedTree) { // a partial clone, an old tool
		d.out.uncounted++
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", h, err)
	}
	return entries, nil
}

// compareEntries orders the first entries of two trees as git sorts them: a
// folder as if its name ended in a slash.
func compareEntries(a, b []object.TreeEntry) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	x, y := a[0].Name, b[0].Name
	n := min(len(x), len(y))
	if x[:n] != y[:n] {
		return bytes.Compare([]byte(x[:n]), []byte(y[:n]))
	}
	return int(after(a[0], n)) - int(after(b[0], n))
}

func after(e object.TreeEntry, n int) byte {
	switch {
	case n < len(e.Name):
		return e.Name[n]
	case e.Mode == filemode.Dir:
		return '/'
	default:
		return 0
	}
}

// dropMoved takes out pairs of a removed and an added file of the same content;
// each is one file that moved.
func (d *differ) dropMoved() {
	gone := map[plumbing.Hash]int{}
	for _, c := range d.changes {
		if c.to.Hash.IsZero() {
			gone[c.from.Hash]++
		}
	}
	moved := map[plumbing.Hash]int{}
	kept := d.changes[:0]
	for _, c := range d.changes {
		if h := c.to.Hash; c.from.Hash.IsZero() && gone[h] > 0 {
			gone[h]--
			moved[h]++
			d.out.files--
			continue
		}
		kept = append(kept, c)
	}
	d.changes = kept
	kept = d.changes[:0]
	for _, c := range d.changes {
		if h := c.from.Hash; c.to.Hash.IsZero() && moved[h] > 0 {
			moved[h]--
			continue
		}
		kept = append(kept, c)
	}
	d.changes = kept
}

// lines counts the lines of one change.
func (d *differ) lines(c change) error {
	if c.from.Hash == c.to.Hash {
		return nil // its mode changed
	}
	from, err := d.content(c.from)
	if err != nil {
		return err
	}
	to, err := d.content(c.to)
	if err != nil {
		return err
	}
	switch {
	case !from.known || !to.known:
		d.out.uncounted++
	case isBinary(from.data) || isBinary(to.data):
	default:
		ins, del := diffLines(from.data, to.data)
		d.out.insertions += ins
		d.out.deletions += del
	}
	return nil
}

// content is a file's bytes, or that they are not to be had.
type content struct {
	data  []byte
	known bool
}

func (d *differ) content(e object.TreeEntry) (content, error) {
	if e.Hash.IsZero() {
		return content{known: true}, nil
	}
	if e.Mode == filemode.Submodule {
		return content{data: []byte("Subproject commit " + e.Hash.String() + "\n"), known: true}, nil
	}
	data, ok, err := d.repo.blob(e.Hash, min(maxBlob, maxBlobs-d.bytes))
	if err != nil {
		return content{}, fmt.Errorf("read file %s: %w", e.Hash, err)
	}
	d.bytes += int64(len(data))
	return content{data: data, known: ok}, nil
}

func isBinary(b []byte) bool {
	return bytes.IndexByte(b[:min(len(b), binaryProbe)], 0) >= 0
}
