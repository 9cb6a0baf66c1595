package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsesTheCloneThatHasHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, makeSample(dir))
	var out, errs bytes.Buffer
	require.NoError(t, run([]string{dir, filepath.Join(t.TempDir(), "sample")}, &out, &errs))
	require.Equal(t, dir+"\n", out.String())
	require.Empty(t, errs.String())
}

func TestMakesASampleOnceAndSaysSo(t *testing.T) {
	t.Parallel()
	empty, sample := t.TempDir(), filepath.Join(t.TempDir(), "sample")
	var out, errs bytes.Buffer
	require.NoError(t, run([]string{empty, sample}, &out, &errs))
	require.Equal(t, sample, strings.TrimSpace(out.String()))
	require.Contains(t, errs.String(), "has no git history; making a sample repository")
	require.True(t, hasHistory(sample))

	errs.Reset()
	require.NoError(t, run([]string{empty, sample}, &out, &errs))
	require.Empty(t, errs.String(), "the second time it is there")
}
