package main

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// graph is a history in memory that counts what is read of it.
type graph struct {
	nodes map[plumbing.Hash]*object.Commit
	list  []plumbing.Hash // parents before children
	reads int
}

func (g *graph) commit(h plumbing.Hash) (*object.Commit, error) {
	g.reads++
	if c := g.nodes[h]; c != nil {
		return c, nil
	}
	return nil, plumbing.ErrObjectNotFound
}

func (g *graph) add(when int64, parents ...plumbing.Hash) plumbing.Hash {
	if g.nodes == nil {
		g.nodes = map[plumbing.Hash]*object.Commit{}
	}
	// Spread over the key space as real hashes are.
	var h plumbing.Hash
	binary.BigEndian.PutUint64(h[:], uint64(len(g.list)+1)*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(h[8:], uint64(len(g.list)+1))
	g.nodes[h] = &object.Commit{Hash: h, ParentHashes: parents, Committer: object.Signature{When: time.Unix(when, 0)}}
	g.list = append(g.list, h)
	return h
}

// reach returns what from reaches, itself included.
func (g *graph) reach(from plumbing.Hash) map[plumbing.Hash]bool {
	out := map[plumbing.Hash]bool{}
	todo := []plumbing.Hash{from}
	for len(todo) > 0 {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if h.IsZero() || out[h] {
			continue
		}
		out[h] = true
		todo = append(todo, g.nodes[h].ParentHashes...)
	}
	return out
}

// all walks base..head to its end, encoding and restoring the walk after every
// commit if asked, and returns the fresh commits and the number of visits.
func (g *graph) all(t require.TestingT, head, base plumbing.Hash, restart bool) (fresh []plumbing.Hash, visits int, w *walk) {
	w = newWalk(g, nil, base)
	require.NoError(t, w.start(head))
	for w.more() {
		v, err := w.next()
		require.NoError(t, err)
		visits++
		if !v.old {
			fresh = append(fresh, v.hash)
		}
		if restart {
			state := w.encode()
			w = newWalk(g, nil, base)
			require.NoError(t, w.restore(state))
			require.Equal(t, state, w.encode())
		}
	}
	return fresh, visits, w
}

// random makes a history; with honest clocks no parent is newer than its child.
func random(t *rapid.T, honest bool) *graph {
	g := &graph{}
	n := rapid.IntRange(1, 60).Draw(t, "commits")
	for i := range n {
		var parents []plumbing.Hash
		for range rapid.IntRange(0, min(i, 3)).Draw(t, "parents") {
			p := g.list[rapid.IntRange(max(0, i-8), i-1).Draw(t, "parent")]
			if !slices.Contains(parents, p) {
				parents = append(parents, p)
			}
		}
		when := int64(i * 10)
		if !honest {
			when = rapid.Int64Range(0, 200).Draw(t, "when")
		}
		g.add(when, parents...)
	}
	return g
}

// With honest clocks a walk is exactly git rev-list base..head, each once.
func TestWalkIsRevList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := random(t, true)
		head := rapid.SampledFrom(g.list).Draw(t, "head")
		base := rapid.SampledFrom(append(slices.Clone(g.list), plumbing.ZeroHash)).Draw(t, "base")
		if base == head {
			return
		}
		fresh, _, w := g.all(t, head, base, false)
		inHead, inBase := g.reach(head), g.reach(base)
		var want []plumbing.Hash
		for _, h := range g.list {
			if inHead[h] && !inBase[h] {
				want = append(want, h)
			}
		}
		require.ElementsMatch(t, want, fresh)
		require.Equal(t, inHead[base], w.reached)
	})
}

// With any clocks no commit is left out, none is from elsewhere, and the walk
// knows whether base is an ancestor.
func TestWalkSurvivesWrongClocks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := random(t, false)
		head := rapid.SampledFrom(g.list).Draw(t, "head")
		base := rapid.SampledFrom(append(slices.Clone(g.list), plumbing.ZeroHash)).Draw(t, "base")
		if base == head {
			return
		}
		fresh, visits, w := g.all(t, head, base, false)
		inHead, inBase := g.reach(head), g.reach(base)
		for _, h := range g.list {
			if inHead[h] && !inBase[h] {
				require.Contains(t, fresh, h)
			}
		}
		for _, h := range fresh {
			require.True(t, inHead[h])
		}
		require.Equal(t, inHead[base], w.reached)
		require.LessOrEqual(t, visits, 2*len(g.list))
	})
}

// A walk that is stopped and resumed after every commit takes the same way.
func TestWalkResumesAnywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := random(t, rapid.Bool().Draw(t, "honest"))
		head := rapid.SampledFrom(g.list).Draw(t, "head")
		base := rapid.SampledFrom(append(slices.Clone(g.list), plumbing.ZeroHash)).Draw(t, "base")
		if base == head {
			return
		}
		whole, _, a := g.all(t, head, base, false)
		parts, _, b := g.all(t, head, base, true)
		require.Equal(t, whole, parts)
		require.Equal(t, a.reached, b.reached)
	})
}

// 100,000 commits with merges: each is visited once, and what a page token
// holds does not grow.
func TestWalkNeedsConstantMemory(t *testing.T) {
	t.Parallel()
	const n = 100_000
	g := &graph{}
	tip := g.add(0)
	for i := 1; len(g.list) < n; i++ {
		side := g.add(int64(4*i), tip)
		tip = g.add(int64(4*i+1), tip)
		tip = g.add(int64(4*i+2), tip, side)
	}
	w := newWalk(g, nil, plumbing.ZeroHash)
	require.NoError(t, w.start(tip))
	visits, largest := 0, 0
	for w.more() {
		_, err := w.next()
		require.NoError(t, err)
		if visits++; visits%1000 == 0 {
			state := w.encode()
			largest = max(largest, len(state))
			w = newWalk(g, nil, plumbing.ZeroHash)
			require.NoError(t, w.restore(state))
		}
	}
	require.Equal(t, len(g.list), visits)
	require.Less(t, largest, 10<<10)
	require.LessOrEqual(t, g.reads, 2*len(g.list))
}

// All commits of one second, as conversions from other systems make them.
func TestWalkOfOneSecond(t *testing.T) {
	t.Parallel()
	g := &graph{}
	tip := g.add(7)
	for range 3000 {
		side := g.add(7, tip)
		tip = g.add(7, tip)
		tip = g.add(7, tip, side)
	}
	fresh, visits, _ := g.all(t, tip, plumbing.ZeroHash, false)
	slices.SortFunc(fresh, compareHashes)
	require.Len(t, slices.Compact(fresh), len(g.list))
	require.LessOrEqual(t, visits, 2*len(g.list))
}

// A long branch from a clock that went backwards meets commits that are
// forgotten by then; the walk still ends soon and leaves out none.
func TestWalkOfLateBranch(t *testing.T) {
	t.Parallel()
	g := &graph{}
	var trunk []plumbing.Hash
	var parents []plumbing.Hash
	for i := range 4000 {
		h := g.add(int64(10_000+i), parents...)
		trunk, parents = append(trunk, h), []plumbing.Hash{h}
	}
	late := g.add(5, trunk[2000])
	for i := range 10 {
		late = g.add(int64(6+i), late, trunk[1000+i])
	}
	tip := g.add(20_000, trunk[3999], late)
	fresh, visits, _ := g.all(t, tip, plumbing.ZeroHash, false)
	slices.SortFunc(fresh, compareHashes)
	require.Len(t, slices.Compact(fresh), len(g.list))
	require.LessOrEqual(t, visits, 2*len(g.list))
}

func compareHashes(a, b plumbing.Hash) int { return slices.Compare(a[:], b[:]) }

func TestWalkRefusesBrokenState(t *testing.T) {
	t.Parallel()
	g := &graph{}
	tip := g.add(1, g.add(0))
	w := newWalk(g, nil, plumbing.ZeroHash)
	require.NoError(t, w.start(tip))
	_, err := w.next()
	require.NoError(t, err)
	state := w.encode()
	for n := range state {
		require.Error(t, newWalk(g, nil, plumbing.ZeroHash).restore(state[:n]), "cut at %d", n)
	}
}

func FuzzWalkState(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, state []byte) {
		w := newWalk(&graph{}, nil, plumbing.ZeroHash)
		if w.restore(state) == nil {
			require.Len(t, w.known, len(w.queue))
		}
	})
}
