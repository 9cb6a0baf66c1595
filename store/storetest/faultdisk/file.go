//go:build linux

package faultdisk

import (
	"context"
	"maps"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Setattr changes a mode or a size.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if mode, ok := in.GetMode(); ok {
		n.mode = n.mode&syscall.S_IFMT | mode&0o7777
	}
	if mtime, ok := in.GetMTime(); ok {
		n.mtime = mtime
	}
	if size, ok := in.GetSize(); ok {
		if errno := n.d.allow(Truncate, n); errno != 0 {
			return errno
		}
		if errno := n.put(write{off: int64(size), size: int64(size)}); errno != 0 { //nolint:gosec // no file is that large
			return errno
		}
	}
	n.attr(&out.Attr)
	return 0
}

// Open opens a file.
func (n *node) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

// Read reads what was written, synced or not.
func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if off >= int64(len(n.data)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.data[off:])]), 0
}

// Write changes a file; a cut may undo it until the next sync.
func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if errno := n.d.allow(Write, n); errno != 0 {
		return 0, errno
	}
	end := off + int64(len(data))
	if errno := n.put(write{off: off, data: append([]byte{}, data...), size: max(end, int64(len(n.data)))}); errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0 //nolint:gosec // at most MaxWrite
}

// put makes a change and remembers how to undo it. The caller holds mu.
func (n *node) put(w write) syscall.Errno {
	w.oldSize = int64(len(n.data))
	if n.links > 0 {
		if errno := n.d.grow(w.size - w.oldSize); errno != 0 {
			return errno
		}
	}
	until := w.oldSize
	if w.data != nil {
		until = min(until, w.off+int64(len(w.data)))
	}
	if w.off < until {
		w.old = append([]byte{}, n.data[w.off:until]...)
	}
	n.data = resize(n.data, w.size)
	copy(n.data[min(w.off, w.size):], w.data)
	n.mtime = time.Now()
	n.writes = append(n.writes, w)
	return 0
}

// resize cuts data, or adds zeros.
func resize(data []byte, size int64) []byte {
	if size <= int64(len(data)) {
		return data[:size]
	}
	return append(data, make([]byte, size-int64(len(data)))...)
}

// Flush is a close, which syncs nothing.
func (n *node) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 }

// Fsync has what was written, or the names of a directory, survive a cut.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if delay := n.d.delay; delay > 0 {
		n.d.mu.Unlock()
		<-time.After(delay)
		n.d.mu.Lock()
	}
	if errno := n.d.allow(Sync, n); errno != 0 {
		return errno
	}
	n.writes = nil
	if n.entries != nil {
		n.synced, n.moves = maps.Clone(n.entries), nil
	}
	return 0
}
