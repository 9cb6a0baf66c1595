//go:build linux

package faultdisk

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// sector is what a disk writes as a whole.
const sector = 512

// survive writes what is left of a directory below dir. Names come back in the
// order in which they were changed: some number of the changes since the newest
// sync has reached the disk.
func (n *node) survive(dir string, rnd *rand.Rand) error {
	entries := n.synced
	if reached := rnd.IntN(len(n.moves) + 1); reached > 0 {
		entries = n.moves[reached-1]
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names) // so that a seed decides the same again
	for _, name := range names {
		child := entries[name]
		path := filepath.Join(dir, name)
		var err error
		switch child.mode & syscall.S_IFMT {
		case syscall.S_IFDIR:
			err = child.survive(path, rnd)
		case syscall.S_IFREG:
			err = os.WriteFile(path, child.remains(rnd), os.FileMode(child.mode&0o777))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// remains returns the content of a file after a cut: what was synced, and each
// later change kept, lost or torn.
func (n *node) remains(rnd *rand.Rand) []byte {
	data := slices.Clone(n.data)
	for _, w := range slices.Backward(n.writes) {
		data = resize(data, w.oldSize)
		copy(data[min(w.off, w.oldSize):], w.old)
	}
	for _, w := range n.writes {
		switch rnd.IntN(3) {
		case 0:
			data = w.redo(data)
		case 1:
			data = w.tear(data, rnd)
		default: // lost
		}
	}
	return data
}

// redo makes the change on data.
func (w write) redo(data []byte) []byte {
	if w.data == nil {
		return resize(data, w.size)
	}
	end := w.off + int64(len(w.data))
	data = resize(data, max(int64(len(data)), end))
	copy(data[w.off:], w.data)
	return data
}

// tear makes the change for some of its sectors alone.
func (w write) tear(data []byte, rnd *rand.Rand) []byte {
	if w.data == nil {
		return data // a size is changed or not
	}
	for from := int64(0); from < int64(len(w.data)); {
		until := min((w.off+from)/sector*sector+sector-w.off, int64(len(w.data)))
		if rnd.IntN(2) == 0 {
			data = write{off: w.off + from, data: w.data[from:until]}.redo(data)
		}
		from = until
	}
	return data
}
