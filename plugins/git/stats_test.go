package main

import (
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"
)

// countsOf returns the counts between two trees.
func countsOf(t *testing.T, from, to files) counts {
	t.Helper()
	b := newBuilder(t, false)
	return countsIn(t, b, b.tree(from), b.tree(to))
}

func countsIn(t *testing.T, b *builder, from, to plumbing.Hash) counts {
	t.Helper()
	r, err := openRepo(b.dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.close()) })
	n, err := newDiffer(r, func() {}).count(t.Context(), from, to)
	require.NoError(t, err)
	return n
}

func TestCounts(t *testing.T) {
	t.Parallel()
	base := files{"a.txt": "1\n2\n3\n", "src/b.go": "x\ny\n", "src/deep/c.go": "p\n", "z": "end"}
	cases := map[string]struct {
		to   files
		want counts
	}{
		"Nothing":      {base, counts{}},
		"OneLine":      {base.with("a.txt", "1\nTWO\n3\n"), counts{insertions: 1, deletions: 1, files: 1}},
		"Added":        {base.with("src/new/d.go", "1\n2\n"), counts{insertions: 2, files: 1}},
		"Removed":      {base.without("src/b.go"), counts{deletions: 2, files: 1}},
		"Renamed":      {base.without("src/b.go").with("lib/b.go", "x\ny\n"), counts{files: 1}},
		"Copied":       {base.with("lib/b.go", "x\ny\n"), counts{insertions: 2, files: 1}},
		"Binary":       {base.with("a.txt", "1\x002\n"), counts{files: 1}},
		"TooLarge":     {base.with("a.txt", strings.Repeat("line\n", maxBlob/5+1)), counts{files: 1, uncounted: 1}},
		"FileToFolder": {base.without("z").with("z/one", "1\n").with("z.a", "2\n3\n"), counts{insertions: 3, deletions: 1, files: 3}},
		"EmptyFile":    {base.with("empty", ""), counts{files: 1}},
		"Several":      {base.with("a.txt", "0\n1\n2\n3\n").with("src/b.go", "y\n").without("z"), counts{insertions: 1, deletions: 2, files: 3}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, countsOf(t, base, c.to))
		})
	}
	t.Run("Everything", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, counts{insertions: 7, files: 4}, countsOf(t, nil, base))
	})
}

func TestCountsOfManyFilesAreBounded(t *testing.T) {
	t.Parallel()
	b := newPackedBuilder(t)
	many := files{}
	for i := range maxFiles + 10 {
		many["f"+strings.Repeat("x", i%50)+string(rune('a'+i%26))+"/y"+strings.Repeat("y", i/50)] = "same\n"
	}
	tree := b.tree(many)
	b.pack()
	n := countsIn(t, b, plumbing.ZeroHash, tree)
	require.Equal(t, len(many), n.files)
	require.Equal(t, len(many)-maxFiles, n.uncounted)
	require.Equal(t, maxFiles, n.insertions)
}

// A partial clone lacks files; they are not counted and nothing fails.
func TestCountsWithoutObjects(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	from, to := b.tree(files{"a": "1\n"}), b.tree(files{"a": "1\n2\n"})
	blob := b.blob("1\n2\n")
	r, err := openRepo(b.dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.close()) })
	require.NoError(t, r.stores[0].DeleteLooseObject(blob))
	n, err := newDiffer(r, func() {}).count(t.Context(), from, to)
	require.NoError(t, err)
	require.Equal(t, counts{files: 1, uncounted: 1}, n)
}
