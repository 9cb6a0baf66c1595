package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/memory"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// files are a tree: contents by path.
type files map[string]string

func (f files) with(path, content string) files {
	out := maps.Clone(f)
	if out == nil {
		out = files{}
	}
	out[path] = content
	return out
}

func (f files) without(path string) files {
	out := maps.Clone(f)
	delete(out, path)
	return out
}

// spec is a commit to make.
type spec struct {
	message string
	author  string // "Name <email>"; Ann if empty
	when    int64  // seconds; a minute after the commit made before if zero
	files   files
	parents []plumbing.Hash
}

// builder makes commits straight into a repository's store.
type builder struct {
	t    testing.TB
	dir  string
	git  *gogit.Repository
	mem  *memory.Storage // where objects wait for pack; nil if each is a file at once
	when int64
}

func newBuilder(t testing.TB, bare bool) *builder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	r, err := gogit.PlainInit(dir, bare)
	require.NoError(t, err)
	return &builder{t: t, dir: dir, git: r, when: 1_700_000_000}
}

// newPackedBuilder is for many objects: they are there after pack.
func newPackedBuilder(t testing.TB) *builder {
	b := newBuilder(t, true)
	b.mem = memory.NewStorage()
	return b
}

func (b *builder) objects() storer.EncodedObjectStorer {
	if b.mem != nil {
		return b.mem
	}
	return b.git.Storer
}

func (b *builder) commit(s spec) plumbing.Hash {
	b.t.Helper()
	if s.when == 0 {
		b.when += 60
		s.when = b.when
	}
	if s.author == "" {
		s.author = "Ann <ann@example.org>"
	}
	who := object.Signature{When: time.Unix(s.when, 0).UTC()}
	p := parsePerson(s.author)
	who.Name, who.Email = p.name, p.email
	c := &object.Commit{Author: who, Committer: who, Message: s.message, TreeHash: b.tree(s.files), ParentHashes: s.parents}
	return b.put(c)
}

func (b *builder) put(o interface {
	Encode(plumbing.EncodedObject) error
},
) plumbing.Hash {
	b.t.Helper()
	e := b.objects().NewEncodedObject()
	require.NoError(b.t, o.Encode(e))
	h, err := b.objects().SetEncodedObject(e)
	require.NoError(b.t, err)
	return h
}

func (b *builder) tree(f files) plumbing.Hash {
	dirs := map[string]files{}
	var t object.Tree
	for path, content := range f {
		if dir, rest, ok := strings.Cut(path, "/"); ok {
			dirs[dir] = dirs[dir].with(rest, content)
			continue
		}
		t.Entries = append(t.Entries, object.TreeEntry{Name: path, Mode: filemode.Regular, Hash: b.blob(content)})
	}
	for dir, f := range dirs {
		t.Entries = append(t.Entries, object.TreeEntry{Name: dir, Mode: filemode.Dir, Hash: b.tree(f)})
	}
	slices.SortFunc(t.Entries, func(x, y object.TreeEntry) int {
		return compareEntries([]object.TreeEntry{x}, []object.TreeEntry{y})
	})
	return b.put(&t)
}

func (b *builder) blob(content string) plumbing.Hash {
	e := b.objects().NewEncodedObject()
	e.SetType(plumbing.BlobObject)
	w, err := e.Writer()
	require.NoError(b.t, err)
	_, err = w.Write([]byte(content))
	require.NoError(b.t, err)
	require.NoError(b.t, w.Close())
	h, err := b.objects().SetEncodedObject(e)
	require.NoError(b.t, err)
	return h
}

func (b *builder) branch(name string, h plumbing.Hash) {
	b.t.Helper()
	require.NoError(b.t, b.git.Storer.SetReference(plumbing.NewHashReference(plumbing.NewBranchReferenceName(name), h)))
}

// line makes n commits, each a change of one line, on top of parent.
func (b *builder) line(n int, parents ...plumbing.Hash) []plumbing.Hash {
	b.t.Helper()
	var out []plumbing.Hash
	for i := range n {
		h := b.commit(spec{message: fmt.Sprintf("change %d", i), files: files{"counter": fmt.Sprintln(i, len(parents))}, parents: parents})
		out, parents = append(out, h), []plumbing.Hash{h}
	}
	return out
}

// pack moves all objects into a pack.
func (b *builder) pack() {
	b.t.Helper()
	if b.mem == nil {
		require.NoError(b.t, b.git.RepackObjects(&gogit.RepackConfig{}))
		return
	}
	store, ok := b.git.Storer.(storer.PackfileWriter)
	require.True(b.t, ok)
	w, err := store.PackfileWriter()
	require.NoError(b.t, err)
	_, err = packfile.NewEncoder(w, b.mem, false).Encode(slices.Collect(maps.Keys(b.mem.Objects)), 10)
	require.NoError(b.t, err)
	require.NoError(b.t, w.Close())
}

// step is a position that a call handed out, and how many activities were
// emitted before it.
type step struct {
	page, checkpoint []byte
	emitted          int
}

// sink keeps what a plugin sends.
type sink struct {
	activities []sdk.Activity
	streams    []sdk.Stream
	warnings   []sdk.Warning
	page       []byte // of the call under way
	steps      []step
	onSend     func()
}

func (s *sink) Send(_ context.Context, b sdk.Batch) error {
	s.activities = append(s.activities, b.Activities...)
	s.streams = append(s.streams, b.Streams...)
	s.warnings = append(s.warnings, b.Warnings...)
	if s.onSend != nil {
		s.onSend()
	}
	return nil
}

func (s *sink) Checkpoint(_ context.Context, c sdk.Checkpoint) error {
	s.steps = append(s.steps, step{page: s.page, checkpoint: c.Data, emitted: len(s.activities)})
	return nil
}

func (s *sink) ids() []string {
	var out []string
	for _, a := range s.activities {
		out = append(out, a.ID)
	}
	return out
}

func (s *sink) warned() string {
	var out []string
	for _, w := range s.warnings {
		out = append(out, w.Message)
	}
	return strings.Join(out, "\n")
}

// only returns the activity with the id.
func (s *sink) only(t *testing.T, id string) sdk.Activity {
	t.Helper()
	i := slices.IndexFunc(s.activities, func(a sdk.Activity) bool { return a.ID == id })
	require.GreaterOrEqual(t, i, 0, "activity %s", id)
	return s.activities[i]
}

// host plays the host: it plans a run, processes its streams page by page and
// keeps their cursors.
type host struct {
	t       testing.TB
	git     Git
	set     map[string]any
	cursors map[string][]byte
	pages   int // of the last run
	want    int // records of a page
}

func newHost(t testing.TB, set map[string]any) *host {
	return &host{t: t, git: Git{pageSize: 20, checkpoint: 5}, set: set, cursors: map[string][]byte{}}
}

func (h *host) open() sdk.Instance {
	h.t.Helper()
	raw, err := json.Marshal(h.set)
	require.NoError(h.t, err)
	in, err := h.git.Open(h.t.Context(), sdk.Integration{Tenant: "acme", Name: "history", Settings: sdk.NewSettings(raw)})
	require.NoError(h.t, err)
	return in
}

func (h *host) run() *sink {
	h.t.Helper()
	in, s := h.open(), &sink{}
	out := sdk.NewEmitter(s)
	run := sdk.Run{ID: "1", Connectors: []string{connector}}
	require.NoError(h.t, in.GetStreams(h.t.Context(), sdk.PlanCall{Run: run}, out))
	require.NoError(h.t, out.Flush(h.t.Context()))
	h.pages = 0
	for _, stream := range s.streams {
		h.drain(in, s, sdk.StreamCall{Run: run, Stream: stream, PageSize: h.want, Cursor: h.cursors[stream.Partition]})
	}
	return s
}

// drain processes a stream to its end.
func (h *host) drain(in sdk.Instance, s *sink, call sdk.StreamCall) {
	h.t.Helper()
	seen := map[string]bool{}
	for {
		out := sdk.NewEmitter(s)
		s.page = call.Page
		o, err := in.ProcessStream(h.t.Context(), call, out)
		require.NoError(h.t, err)
		require.NoError(h.t, out.Flush(h.t.Context()))
		h.pages++
		if o.Cursor != nil {
			h.cursors[call.Stream.Partition] = o.Cursor
		}
		if o.NextPage == nil {
			return
		}
		require.False(h.t, seen[string(o.NextPage)], "a page token came twice")
		seen[string(o.NextPage)] = true
		call.Page, call.Checkpoint = o.NextPage, nil
		s.steps = append(s.steps, step{page: o.NextPage, emitted: len(s.activities)})
	}
}

func texts(hashes ...plumbing.Hash) []string {
	var out []string
	for _, h := range hashes {
		out = append(out, h.String())
	}
	return out
}

func backwards(hashes []plumbing.Hash) []string {
	out := texts(hashes...)
	slices.Reverse(out)
	return out
}
