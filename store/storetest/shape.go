package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: F26
func testShapes(t *testing.T, setup func(*testing.T) *world) {
	t.Run("AreMergedByField", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		put := func(shapes store.Shapes) {
			seg := j.segment(j.claim())
			seg.Shapes, seg.End = shapes, new(done())
			j.apply(seg)
		}
		put(store.Shapes{"thing": {"size": "number", "name": "string"}})
		put(store.Shapes{"thing": {"size": "string", "tags": "array"}, "other": {"n": "number"}})
		got, err := w.s.Shapes(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.Equal(t, store.Shapes{"thing": {"size": "string", "name": "string", "tags": "array"}, "other": {"n": "number"}}, got)
		none, err := w.s.Shapes(w.ctx(), j.i.ID+1)
		require.NoError(t, err)
		require.Empty(t, none)
	})

	t.Run("AreForgottenWhenNobodyWatches", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		change := func(policy store.TypePolicy) {
			spec := j.i.IntegrationSpec
			spec.OnTypeChange = policy
			require.NoError(t, w.s.ApplyChanges(w.ctx(), []store.Change{{Op: store.ChangeUpdate, UID: j.i.UID, Spec: spec}}))
		}
		change(store.TypesHalt)
		seg := j.segment(j.claim())
		seg.Shapes, seg.End = store.Shapes{"thing": {"size": "number"}}, new(done())
		j.apply(seg)
		change(store.TypesQuarantine)
		got, err := w.s.Shapes(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.Len(t, got, 1)
		change(store.TypesPass)
		got, err = w.s.Shapes(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.Empty(t, got)
	})
}
