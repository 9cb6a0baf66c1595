//go:build linux || darwin

package main

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: F28
func TestDescriptors(t *testing.T) {
	t.Parallel()
	open := 0
	var fail error
	count := func() (int, error) { return open, fail }
	_, err := newDescriptors(minDescriptors-1, count)
	require.ErrorContains(t, err, "grants this process 127 open files; the daemon needs 128 (hint: raise the limit")

	d, err := newDescriptors(200, count)
	require.NoError(t, err)
	require.Equal(t, 50, d.connections())
	require.Equal(t, 3, d.httpConnections())
	open = 160 - descriptorsPerProcess
	require.NoError(t, d.room())
	open++
	require.ErrorIs(t, d.room(), store.ErrLimit)
	require.ErrorContains(t, d.room(), "153 of the 200 open files")
	open--
	require.NoError(t, d.room())
	fail = errors.New("no /dev/fd")
	require.ErrorIs(t, d.room(), fail)

	d, err = newDescriptors(0, count)
	require.NoError(t, err)
	require.NoError(t, d.room(), "no limit")
	require.Equal(t, maxConnections, d.connections())
	d, err = newDescriptors(1<<20, count)
	require.NoError(t, err)
	require.Equal(t, maxConnections, d.connections())
}

// rows: F28
func TestOpenDescriptorsAreCounted(t *testing.T) { //nolint:paralleltest // others open files, too
	before, err := openDescriptors()
	require.NoError(t, err)
	const more = 200 // than what others open and close meanwhile
	for range more {
		f, err := os.Open(os.DevNull)
		require.NoError(t, err)
		defer func() { require.NoError(t, f.Close()) }()
	}
	after, err := openDescriptors()
	require.NoError(t, err)
	require.InDelta(t, more, after-before, more/2)
	require.Positive(t, descriptorLimit())
}
