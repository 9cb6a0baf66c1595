package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// BenchmarkImport reads 1,000 packed commits to a tree of 200 files, each a
// change of a few lines.
func BenchmarkImport(b *testing.B) {
	const n = 1000
	g := newPackedBuilder(b)
	tree := files{}
	for i := range 200 {
		tree[fmt.Sprintf("dir%d/file%d.go", i%10, i)] = strings.Repeat(fmt.Sprintf("line of %d\n", i), 50)
	}
	var parents []plumbing.Hash
	for i := range n {
		name := fmt.Sprintf("dir%d/file%d.go", i%10, i%200)
		tree[name] += fmt.Sprintf("change %d\n", i)
		parents = []plumbing.Hash{g.commit(spec{message: "change", files: tree, parents: parents})}
	}
	g.branch("master", parents[0])
	g.pack()
	for _, stats := range []bool{true, false} {
		b.Run(fmt.Sprintf("stats=%t", stats), func(b *testing.B) {
			h := newHost(b, map[string]any{"path": g.dir, "stats": stats})
			h.git = Git{}
			stream := h.run().streams[0]
			b.ReportAllocs()
			for b.Loop() {
				s := &sink{}
				h.drain(h.open(), s, sdk.StreamCall{Stream: stream})
				require.Len(b, s.activities, n)
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkWalk visits 100,000 commits in memory.
func BenchmarkWalk(b *testing.B) {
	g := &graph{}
	tip := g.add(0)
	for i := 1; len(g.list) < 100_000; i++ {
		tip = g.add(int64(i), tip)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, visits, _ := g.all(b, tip, plumbing.ZeroHash, false)
		require.Equal(b, len(g.list), visits)
	}
}
