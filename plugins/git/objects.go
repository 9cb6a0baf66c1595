package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	objectCache   = 32 << 20 // bytes of objects kept, for the bases of deltas
	maxAlternates = 16
)

// objects reads what a repository holds and what it borrows from others, as a
// clone made with --shared or --reference does. go-git follows alternates too,
// but opens them anew for each object.
type objects struct {
	stores    []*filesystem.Storage // the repository's own first
	reindexed bool
}

// openStore opens a folder with objects in it. It fails on no wrong content.
func openStore(fs billy.Filesystem) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(fs, cache.NewObjectLRU(objectCache), filesystem.Options{
		KeepDescriptors:      true,
		LargeObjectThreshold: maxBlob,
		AlternatesFS:         memfs.New(), // an empty one: objects follows them itself
	})
}

// alternates returns the object folders that those of a git folder name, and
// the ones which these name.
func alternates(dot string) ([]string, error) {
	found := []string{filepath.Join(dot, "objects")}
	for i := 0; i < len(found); i++ {
		text, err := os.ReadFile(filepath.Join(found[i], "info", "alternates"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read alternates: %w", err)
		}
		for name := range strings.Lines(string(text)) {
			name = strings.TrimSpace(name)
			if name == "" || strings.HasPrefix(name, "#") {
				continue
			}
			if !filepath.IsAbs(name) {
				name = filepath.Join(found[i], name)
			}
			// A store is opened by the folder above, so another name is no store.
			if filepath.Base(name) == "objects" && !slices.Contains(found, name) && len(found) <= maxAlternates {
				found = append(found, name)
			}
		}
	}
	return found[1:], nil
}

func (o *objects) close() error {
	var errs []error
	for _, s := range o.stores {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// find returns an object; plumbing.ErrObjectNotFound if there is none of the
// type.
func (o *objects) find(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	for _, s := range o.stores {
		e, err := s.EncodedObject(t, h)
		if !errors.Is(err, plumbing.ErrObjectNotFound) {
			return e, err
		}
	}
	return nil, plumbing.ErrObjectNotFound
}

// commit reads a commit; see absent.
func (o *objects) commit(h plumbing.Hash) (*object.Commit, error) {
	e, err := o.find(plumbing.CommitObject, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) && !o.reindexed {
		// A repack since the repository was opened moves objects.
		o.reindexed = true
		for _, s := range o.stores {
			s.Reindex()
		}
		e, err = o.find(plumbing.CommitObject, h)
	}
	if err != nil {
		return nil, err
	}
	return object.DecodeCommit(o.stores[0], e)
}

// absent reports whether a commit cannot be had, now or ever.
func absent(err error) bool {
	return errors.Is(err, plumbing.ErrObjectNotFound) || errors.Is(err, object.ErrMalformedCommit)
}

// peel follows annotated tags to what they are of.
func (o *objects) peel(h plumbing.Hash) plumbing.Hash {
	for range 16 {
		e, err := o.find(plumbing.TagObject, h)
		if err != nil {
			return h // a commit, or what the walk reports as missing
		}
		tag, err := object.DecodeTag(o.stores[0], e)
		if err != nil {
			return h
		}
		h = tag.Target
	}
	return h
}

// tree reads the entries of a tree; none for the zero hash.
func (o *objects) tree(h plumbing.Hash) ([]object.TreeEntry, error) {
	if h.IsZero() {
		return nil, nil
	}
	e, err := o.find(plumbing.TreeObject, h)
	if err != nil {
		return nil, err
	}
	t, err := object.DecodeTree(o.stores[0], e)
	if err != nil {
		return nil, err
	}
	return t.Entries, nil
}

// blob reads a file of at most limit bytes; false if it is larger or absent.
func (o *objects) blob(h plumbing.Hash, limit int64) ([]byte, bool, error) {
	e, err := o.find(plumbing.BlobObject, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if e.Size() > limit {
		return nil, false, nil
	}
	r, err := e.Reader()
	if err != nil {
		return nil, false, err
	}
	data := make([]byte, e.Size())
	_, err = io.ReadFull(r, data)
	return data, true, errors.Join(err, r.Close())
}
