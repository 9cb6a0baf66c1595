//go:build linux

package faultdisk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Options of a Disk.
type Options struct {
	// Seed decides what a cut leaves of what was not synced.
	Seed uint64
	// CutAt is the number of the change at which the power goes by itself; never
	// if zero.
	CutAt int64
	// Full is how many bytes the files may have; no end if zero.
	Full int64
}

// Op is what a program is about to do, for a fault to be decided.
type Op struct {
	Kind Kind
	Name string // of the file, without its directory
}

// Kind of an Op.
type Kind string

// The kinds that a Fault is asked about.
const (
	Write    Kind = "write"
	Truncate Kind = "truncate"
	Sync     Kind = "sync"
	Names    Kind = "names" // create, link, remove, rename
)

// Disk is a mounted file system. Its methods may be called by any goroutine.
type Disk struct {
	dir    string
	server *fuse.Server
	root   *node
	cut    chan struct{} // closed when the power is gone

	mu      sync.Mutex // guards what follows, and all nodes
	opts    Options
	changes int64
	used    int64
	off     bool
	fault   func(Op) syscall.Errno
	delay   time.Duration // of each sync
}

// Mount mounts a Disk at dir, an empty directory, with a copy of the files below
// from on it, all of them synced; from may be empty. An error says that this
// machine cannot. The caller closes the Disk.
func Mount(dir, from string, opts Options) (*Disk, error) {
	d := &Disk{dir: dir, opts: opts, cut: make(chan struct{})}
	d.root = d.newNode("", syscall.S_IFDIR|0o700)
	long := time.Minute // nobody but the kernel changes anything
	var err error
	d.server, err = fs.Mount(dir, d.root, &fs.Options{
		EntryTimeout: &long, AttrTimeout: &long,
		OnAdd: nil,
		MountOptions: fuse.MountOptions{
			FsName: "faultdisk", Name: "faultdisk", DirectMount: true, DisableXAttrs: true,
			MaxWrite: 128 << 10,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	if from != "" {
		if err := d.load(from); err != nil {
			return nil, errors.Join(fmt.Errorf("copy %s: %w", from, err), d.Close())
		}
	}
	return d, nil
}

// Dir returns where the disk is mounted.
func (d *Disk) Dir() string { return d.dir }

// Lost is closed when the power is gone: from then on nothing changes any more and
// every change is an I/O error.
func (d *Disk) Lost() <-chan struct{} { return d.cut }

// Cut takes the power away.
func (d *Disk) Cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.powerOff()
}

// Fault has fn decide about each operation: an error number fails it, 0 lets it
// happen. nil ends the faults.
func (d *Disk) Fault(fn func(Op) syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fn
}

// Slow makes each sync take so long.
func (d *Disk) Slow(delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.delay = delay
}

// Fill leaves room for so many bytes more; no end if negative.
func (d *Disk) Fill(room int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opts.Full = 0
	if room >= 0 {
		d.opts.Full = max(d.used+room, 1)
	}
}

// Changes returns how many changes there were.
func (d *Disk) Changes() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changes
}

// Close unmounts the disk, whoever still uses it.
func (d *Disk) Close() error {
	err := syscall.Unmount(d.dir, syscall.MNT_DETACH)
	if err != nil {
		err = d.server.Unmount()
	}
	return err
}

// Survivors cuts the power if nobody did, and writes what is left on the disk
// below dir.
func (d *Disk) Survivors(dir string) error {
	d.Cut()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.root.survive(dir, rand.New(rand.NewPCG(d.opts.Seed, 0))) //nolint:gosec // a seed decides the same again
}

// allow decides about an operation before it happens. The caller holds mu.
func (d *Disk) allow(kind Kind, n *node) syscall.Errno {
	if d.off {
		return syscall.EIO
	}
	d.changes++
	if d.opts.CutAt > 0 && d.changes >= d.opts.CutAt {
		d.powerOff()
		return syscall.EIO
	}
	if d.fault != nil {
		return d.fault(Op{Kind: kind, Name: n.name})
	}
	return 0
}

// grow takes room for n bytes more. The caller holds mu.
func (d *Disk) grow(n int64) syscall.Errno {
	if n > 0 && d.opts.Full > 0 && d.used+n > d.opts.Full {
		return syscall.ENOSPC
	}
	d.used += n
	return 0
}

// powerOff is Cut for a caller that holds mu.
func (d *Disk) powerOff() {
	if !d.off {
		d.off = true
		close(d.cut)
	}
}

// load copies a directory onto the disk. It is the disk before anybody uses it.
func (d *Disk) load(from string) error {
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	d.mu.Lock()
	defer d.mu.Unlock()
	return filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		parent := d.root.at(filepath.Dir(rel))
		mode := uint32(info.Mode().Perm())
		if e.IsDir() {
			parent.preload(e.Name(), d.newNode(e.Name(), syscall.S_IFDIR|mode))
			return nil
		}
		n := d.newNode(e.Name(), syscall.S_IFREG|mode)
		if n.data, err = root.ReadFile(rel); err != nil {
			return err
		}
		d.used += int64(len(n.data))
		parent.preload(e.Name(), n)
		return nil
	})
}
