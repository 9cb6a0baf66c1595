package main

import (
	"encoding/json"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/sdk/sdktest"
)

// The plugin keeps its contract, in process and over the wire.
func TestConformance(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	trunk := b.line(12)
	side := b.commit(spec{message: "side\n\nCo-authored-by: Bo <bo@example.org>", files: files{"a": "1\n"}, parents: trunk[4:5]})
	merge := b.commit(spec{message: "merge", parents: []plumbing.Hash{trunk[11], side}})
	b.branch("master", merge)
	b.branch("dev", side)
	set, err := json.Marshal(map[string]any{"path": b.dir, "branch": "*"})
	require.NoError(t, err)
	opts := sdktest.Options{Settings: set, BadSettings: []byte(`{"branch":"main"}`), Connectors: []string{connector}}
	g := Git{pageSize: 6, checkpoint: 2}
	require.NoError(t, sdktest.Exercise(t.Context(), g, opts))

	wired, stop, err := plugin.OverWire(t.Context(), g)
	require.NoError(t, err)
	defer stop()
	require.NoError(t, sdktest.Exercise(t.Context(), wired, opts))
}
