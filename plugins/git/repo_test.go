package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

func TestTwoBranches(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	trunk := b.line(10)
	dev := b.line(3, trunk[4])
	b.branch("master", trunk[9])
	b.branch("dev/new", dev[2])
	h := newHost(t, map[string]any{"path": b.dir, "branches": []string{"*"}})
	s := h.run()
	require.Len(t, s.streams, 2)
	require.Equal(t, append(backwards(append(trunk[:5:5], dev...)), backwards(trunk)...), s.ids())

	more := b.line(1, dev[2])
	b.branch("dev/new", more[0])
	require.Equal(t, texts(more...), h.run().ids(), "each branch has its cursor")

	h = newHost(t, map[string]any{"path": b.dir, "branch": "dev/new"})
	require.Len(t, h.run().activities, 9)
}

func TestBareRepository(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, true)
	all := b.line(7)
	b.branch("master", all[6])
	b.pack()
	s := newHost(t, map[string]any{"path": b.dir}).run()
	require.Equal(t, backwards(all), s.ids())
	require.JSONEq(t, `[1,1,1,false]`, numbers(s.activities[0]))
}

func TestDetachedHead(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(7)
	require.NoError(t, b.git.Storer.SetReference(plumbing.NewHashReference(plumbing.HEAD, all[4])))
	s := newHost(t, map[string]any{"path": b.dir}).run()
	require.Equal(t, backwards(all[:5]), s.ids())
	require.Regexp(t, `/HEAD$`, s.streams[0].ID)
}

func TestRemoteBranchAndTag(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(7)
	require.NoError(t, b.git.Storer.SetReference(plumbing.NewHashReference(plumbing.NewRemoteReferenceName("origin", "topic"), all[2])))
	tag := b.put(&object.Tag{Name: "v1", TargetType: plumbing.CommitObject, Target: all[1]})
	require.NoError(t, b.git.Storer.SetReference(plumbing.NewHashReference(plumbing.NewTagReferenceName("v1"), tag)))
	s := newHost(t, map[string]any{"path": b.dir, "branches": []string{"topic", "refs/tags/v1"}}).run()
	require.Equal(t, append(backwards(all[:2]), backwards(all[:3])...), s.ids())
}

func TestEmptyRepositoryAndMissingBranchWarn(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	s := newHost(t, map[string]any{"path": b.dir}).run()
	require.Empty(t, s.streams)
	require.Contains(t, s.warned(), "branch master: no commits yet")
	s = newHost(t, map[string]any{"path": b.dir, "branch": "*"}).run()
	require.Contains(t, s.warned(), "no branches")
	s = newHost(t, map[string]any{"path": b.dir, "branch": "dev"}).run()
	require.Contains(t, s.warned(), "branch dev: no such branch")
}

func TestBranchGoneAfterThePlan(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(2)
	b.branch("dev", all[1])
	h := newHost(t, map[string]any{"path": b.dir, "branch": "dev"})
	stream := h.run().streams[0]
	require.NoError(t, b.git.Storer.RemoveReference(plumbing.NewBranchReferenceName("dev")))
	s := &sink{}
	h.drain(h.open(), s, sdk.StreamCall{Stream: stream})
	require.Contains(t, s.warned(), "no such branch")
	require.Empty(t, s.activities)
}

func TestWorktree(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(6)
	b.branch("master", all[5])
	b.branch("topic", all[3])
	// As git worktree add lays it out.
	private := filepath.Join(b.dir, ".git", "worktrees", "wt")
	tree := filepath.Join(filepath.Dir(b.dir), "wt")
	require.NoError(t, os.MkdirAll(private, 0o755))
	require.NoError(t, os.MkdirAll(tree, 0o755))
	for path, text := range map[string]string{
		filepath.Join(private, "HEAD"):      "ref: refs/heads/topic\n",
		filepath.Join(private, "commondir"): "../..\n",
		filepath.Join(private, "gitdir"):    filepath.Join(tree, ".git") + "\n",
		filepath.Join(tree, ".git"):         "gitdir: " + private + "\n",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	s := newHost(t, map[string]any{"path": tree}).run()
	require.Equal(t, backwards(all[:4]), s.ids())
	require.Equal(t, "wt", s.activities[0].Channel)
}

func TestShallowClone(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(10)
	b.branch("master", all[9])
	require.NoError(t, b.git.Storer.SetShallow(all[6:7]))
	h := newHost(t, map[string]any{"path": b.dir})
	s := h.run()
	require.Equal(t, backwards(all[6:]), s.ids())
	require.Empty(t, s.warnings)
	edge := s.only(t, all[6].String())
	require.JSONEq(t, `true`, string(edge.Attributes["boundary"]))
	require.NotContains(t, edge.Attributes, "insertions")
	require.NotContains(t, s.activities[0].Attributes, "boundary")
	require.Empty(t, h.run().activities)

	// When the rest is fetched, all is read.
	require.NoError(t, b.git.Storer.SetShallow(nil))
	require.Equal(t, backwards(all), h.run().ids())
	require.Empty(t, h.run().activities)
}

func TestMissingParentEndsTheHistory(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	top := b.line(3, plumbing.NewHash("1111111111111111111111111111111111111111"))
	b.branch("master", top[2])
	s := newHost(t, map[string]any{"path": b.dir}).run()
	require.Equal(t, backwards(top), s.ids())
	require.Contains(t, s.warned(), "lacks its parent 1111111111111111111111111111111111111111")
	require.Contains(t, s.activities[2].Attributes, "boundary")
}

func TestSeveralRepositories(t *testing.T) {
	t.Parallel()
	one, two := newBuilder(t, false), newBuilder(t, true)
	a, b := one.line(3), two.commit(spec{message: "other"})
	one.branch("master", a[2])
	two.branch("master", b)
	s := newHost(t, map[string]any{"paths": []string{one.dir, two.dir, one.dir}}).run()
	require.Len(t, s.streams, 2)
	require.NotEqual(t, s.streams[0].ID, s.streams[1].ID)
	require.Equal(t, append(backwards(a), b.String()), s.ids())
}

func TestOtherConnectorsPlanNothing(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	b.branch("master", b.commit(spec{message: "root"}))
	s := &sink{}
	out := sdk.NewEmitter(s)
	require.NoError(t, newHost(t, map[string]any{"path": b.dir}).open().GetStreams(t.Context(), sdk.PlanCall{}, out))
	require.NoError(t, out.Flush(t.Context()))
	require.Empty(t, s.streams)
}

// rows: O39
func TestCheck(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	b.branch("master", b.commit(spec{message: "root"}))
	empty := newBuilder(t, false)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	odd := newBuilder(t, false)
	require.NoError(t, os.WriteFile(filepath.Join(odd.dir, ".git", "config"), []byte("[core]\nrepositoryformatversion = 1\n[extensions]\nobjectFormat = sha256\n"), 0o600))
	partial := newBuilder(t, false)
	require.NoError(t, os.WriteFile(filepath.Join(partial.dir, ".git", "config"), []byte("[core]\nrepositoryformatversion = 1\n[extensions]\npartialClone = origin\nworktreeConfig = true\n"), 0o600))
	cases := map[string]struct {
		set     map[string]any
		message string
	}{
		"Good":      {map[string]any{"path": b.dir}, ""},
		"Branch":    {map[string]any{"path": b.dir, "branches": []string{"master", "*"}}, ""},
		"Empty":     {map[string]any{"path": empty.dir}, ""},
		"Partial":   {map[string]any{"path": partial.dir}, ""},
		"NoBranch":  {map[string]any{"path": b.dir, "branch": "dev"}, "no branch dev (hint: it has master)"},
		"NoFolder":  {map[string]any{"path": b.dir + "x"}, "no such folder (hint: "},
		"NoClone":   {map[string]any{"path": t.TempDir()}, "not a git repository (hint: "},
		"File":      {map[string]any{"path": file}, "not a directory"},
		"OtherHash": {map[string]any{"path": odd.dir}, "extension objectFormat=sha256 is not supported"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newHost(t, c.set).open()
			checker, ok := in.(sdk.Checker)
			require.True(t, ok)
			err := checker.Check(t.Context())
			if c.message == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.message)
			e, ok := errors.AsType[*sdk.Error](err)
			require.True(t, ok)
			require.Equal(t, sdk.ClassConfig, e.Class)
			if name != "NoBranch" {
				plan := in.GetStreams(t.Context(), sdk.PlanCall{Run: sdk.Run{Connectors: []string{connector}}}, sdk.NewEmitter(&sink{}))
				require.ErrorContains(t, plan, c.message)
			}
		})
	}
}

// A clone made with --shared or --reference borrows the objects of another.
func TestAlternates(t *testing.T) {
	t.Parallel()
	for _, relative := range []bool{false, true} {
		b, clone := newBuilder(t, true), newBuilder(t, false)
		all := b.line(7)
		b.pack()
		target := filepath.Join(b.dir, "objects")
		info := filepath.Join(clone.dir, ".git", "objects", "info")
		require.NoError(t, os.MkdirAll(info, 0o755))
		if relative {
			var err error
			target, err = filepath.Rel(filepath.Dir(info), target)
			require.NoError(t, err)
		}
		require.NoError(t, os.WriteFile(filepath.Join(info, "alternates"), []byte("# borrowed\n"+target+"\n"), 0o600))
		own := clone.commit(spec{message: "own", files: files{"counter": "7\n"}, parents: all[6:]})
		clone.branch("master", own)
		s := newHost(t, map[string]any{"path": clone.dir}).run()
		require.Equal(t, append(texts(own), backwards(all)...), s.ids())
		require.JSONEq(t, `[1,1,1,false]`, numbers(s.activities[0]))
		require.Empty(t, s.warnings)
	}
}

// Objects move into a pack while the repository is open.
func TestRepackWhileOpen(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(3)
	b.branch("master", all[2])
	r, err := openRepo(b.dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.close()) })
	_, err = r.commit(plumbing.NewHash("1111111111111111111111111111111111111111"))
	require.True(t, absent(err), "the index is loaded now")
	r.reindexed = false
	b.pack()
	for _, h := range all {
		c, err := r.commit(h)
		require.NoError(t, err)
		require.Equal(t, h, c.Hash)
	}
}

// A commit that no git can read ends its history and nothing else.
func TestMalformedCommit(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	e := b.git.Storer.NewEncodedObject()
	e.SetType(plumbing.CommitObject)
	w, err := e.Writer()
	require.NoError(t, err)
	_, err = w.Write([]byte("nonsense\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	bad, err := b.git.Storer.SetEncodedObject(e)
	require.NoError(t, err)
	root := b.commit(spec{message: "root"})
	top := b.commit(spec{message: "top", parents: []plumbing.Hash{root, bad}})
	b.branch("master", top)
	s := newHost(t, map[string]any{"path": b.dir}).run()
	require.Equal(t, texts(top, root), s.ids())
	require.Contains(t, s.warned(), "lacks its parent "+bad.String())
}

func TestLongBranchNamesKeepStreamsApart(t *testing.T) {
	t.Parallel()
	r := &repo{id: "app-12345678"}
	long := strings.Repeat("x", 300)
	require.LessOrEqual(t, len(streamID(r, long+"a")), maxStreamID)
	require.NotEqual(t, streamID(r, long+"a"), streamID(r, long+"b"))
}
