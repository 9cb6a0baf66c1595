//go:build linux

package faultdisk

import (
	"context"
	"maps"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or a directory.
type node struct {
	fs.Inode
	d     *Disk
	name  string
	mode  uint32
	mtime time.Time

	data   []byte
	writes []write // since the newest sync, oldest first

	entries map[string]*node
	synced  map[string]*node   // as they are on the disk
	moves   []map[string]*node // what entries were after each change since then
	links   int
}

// write is a change of a file, and what it replaced.
type write struct {
	off     int64
	data    []byte // nil: the file was cut or stretched
	size    int64  // of the file afterwards
	old     []byte // from off on
	oldSize int64
}

var (
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeMknoder   = (*node)(nil)
	_ fs.NodeLinker    = (*node)(nil)
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
	_ fs.NodeFlusher   = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
)

func (d *Disk) newNode(name string, mode uint32) *node {
	n := &node{d: d, name: name, mode: mode, mtime: time.Now()}
	if mode&syscall.S_IFMT == syscall.S_IFDIR {
		n.entries, n.synced = map[string]*node{}, map[string]*node{}
	}
	return n
}

// at returns the node at a path below n.
func (n *node) at(path string) *node {
	if path == "." {
		return n
	}
	for part := range strings.SplitSeq(path, string(filepath.Separator)) {
		n = n.entries[part]
	}
	return n
}

// preload puts child into n as if it had always been there.
func (n *node) preload(name string, child *node) {
	n.entries[name], n.synced[name] = child, child
	child.links = 1
}

// changed remembers the names as they are now. The caller holds mu.
func (n *node) changed() { n.moves = append(n.moves, maps.Clone(n.entries)) }

// inode returns the kernel's side of child, which n has by that name.
func (n *node) inode(ctx context.Context, child *node) *fs.Inode {
	if child.Inode.StableAttr().Ino != 0 {
		return child.EmbeddedInode()
	}
	return n.NewPersistentInode(ctx, child, fs.StableAttr{Mode: child.mode & syscall.S_IFMT})
}

// add makes a child. The caller holds mu.
func (n *node) add(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if _, taken := n.entries[name]; taken {
		return nil, syscall.EEXIST
	}
	child := n.d.newNode(name, mode)
	if errno := n.d.allow(Names, child); errno != 0 {
		return nil, errno
	}
	child.links = 1
	n.entries[name] = child
	n.changed()
	child.attr(&out.Attr)
	return n.inode(ctx, child), 0
}

// Create makes and opens a file.
func (n *node) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	child, errno := n.add(ctx, name, syscall.S_IFREG|mode&0o7777, out)
	return child, nil, 0, errno
}

// Mkdir makes a directory.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	return n.add(ctx, name, syscall.S_IFDIR|mode&0o7777, out)
}

// Mknod makes a socket, among others.
func (n *node) Mknod(ctx context.Context, name string, mode, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	return n.add(ctx, name, mode, out)
}

// Link gives a file another name.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	child, ok := target.(*node)
	if _, taken := n.entries[name]; taken || !ok {
		return nil, syscall.EEXIST
	}
	if errno := n.d.allow(Names, child); errno != 0 {
		return nil, errno
	}
	child.links++
	n.entries[name] = child
	n.changed()
	child.attr(&out.Attr)
	return n.inode(ctx, child), 0
}

// Lookup finds a name.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	child, ok := n.entries[name]
	if !ok {
		return nil, syscall.ENOENT
	}
	child.attr(&out.Attr)
	return n.inode(ctx, child), 0
}

// Readdir lists the names.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	var list []fuse.DirEntry
	for name, child := range n.entries {
		list = append(list, fuse.DirEntry{Name: name, Mode: child.mode & syscall.S_IFMT})
	}
	return fs.NewListDirStream(list), 0
}

// Unlink takes a name away.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	child, ok := n.entries[name]
	if !ok {
		return syscall.ENOENT
	}
	if errno := n.d.allow(Names, child); errno != 0 {
		return errno
	}
	n.drop(name)
	n.changed()
	return 0
}

// drop removes an entry and the room of a file without one. The caller holds mu.
func (n *node) drop(name string) {
	child := n.entries[name]
	delete(n.entries, name)
	if child.links--; child.links == 0 {
		n.d.used -= int64(len(child.data))
	}
}

// Rmdir takes an empty directory away.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	n.d.mu.Lock()
	child, ok := n.entries[name]
	full := ok && len(child.entries) > 0
	n.d.mu.Unlock()
	if full {
		return syscall.ENOTEMPTY
	}
	return n.Unlink(ctx, name)
}

// Rename moves a name, over another one if need be.
func (n *node) Rename(_ context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	to, ok := newParent.(*node)
	child, there := n.entries[name]
	if !ok || !there || flags != 0 {
		return syscall.EINVAL
	}
	if errno := n.d.allow(Names, child); errno != 0 {
		return errno
	}
	if _, taken := to.entries[newName]; taken {
		to.drop(newName)
	}
	delete(n.entries, name)
	to.entries[newName] = child
	child.name = newName
	n.changed()
	if to != n {
		to.changed()
	}
	return 0
}

// Getattr tells what a node is.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	n.attr(&out.Attr)
	return 0
}

// attr is Getattr for a caller that holds mu.
func (n *node) attr(out *fuse.Attr) {
	out.Mode = n.mode
	out.Size = uint64(len(n.data))
	out.Blocks = (out.Size + 511) / 512
	out.Nlink = uint32(max(n.links, 1)) //nolint:gosec // few
	out.Owner = *fuse.CurrentOwner()
	out.SetTimes(nil, &n.mtime, &n.mtime)
}

// Statfs tells how much room there is.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	const block, endless = 4096, 1 << 40
	free := int64(endless)
	if n.d.opts.Full > 0 {
		free = max(n.d.opts.Full-n.d.used, 0)
	}
	out.Bsize, out.Frsize, out.NameLen = block, block, 255
	out.Blocks = uint64(n.d.used+free) / block //nolint:gosec // not negative
	out.Bfree = uint64(free) / block
	out.Bavail = out.Bfree
	return 0
}
