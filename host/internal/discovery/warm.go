package discovery

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// Warm hashes what the lock names, so that the first scan need not: the file in the
// plugin directory and its copy side by side, while somebody else opens the store.
// It only reads, and what it cannot read is left to the scan. It is called before
// Run, if at all, and returns when it has hashed all.
func (w *Watcher) Warm() { w.scanner.warm() }

// warm is Warm. The scan trusts a digest only while the stamp of its file is the
// same, as it does with those of the scan before.
func (s *Scanner) warm() {
	lock, err := LoadLock(s.opts.Lock)
	if err != nil {
		return // the scan tells
	}
	root, err := os.OpenRoot(s.opts.Dir)
	if err != nil {
		return // likewise
	}
	defer root.Close() //nolint:errcheck // read only
	var (
		wg     sync.WaitGroup
		places = make(chan struct{}, runtime.NumCPU())
		mu     sync.Mutex // guards the maps of the scanner
	)
	each := func(hash func()) {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			hash()
		})
	}
	for _, e := range lock.Plugins {
		each(func() {
			if _, st, ok := s.cas.whole(e.SHA256); ok {
				mu.Lock()
				defer mu.Unlock()
				s.cas.verified[e.SHA256] = st
			}
		})
		each(func() {
			path := filepath.Join(s.opts.Dir, e.File)
			if known, ok := s.hashed(root, e.File); ok {
				mu.Lock()
				defer mu.Unlock()
				s.digests[path] = known
			}
		})
	}
	wg.Wait()
}

// hashed returns the digest of a regular file that has been at rest for a while.
func (s *Scanner) hashed(root *os.Root, file string) (digested, bool) {
	info, err := root.Stat(file) // opening a pipe or a device may wait or have effects
	if err != nil || !info.Mode().IsRegular() {
		return digested{}, false
	}
	f, err := root.OpenFile(file, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return digested{}, false
	}
	defer f.Close() //nolint:errcheck // read only
	if info, err = f.Stat(); err != nil || !s.rests(info) {
		return digested{}, false
	}
	sum, err := hash(f)
	return digested{stamp: stampOf(info), digest: sum}, err == nil
}
