//go:build unix

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: F01, C32
//
// With ten thousand streams waiting a killed host is back at work at once: no
// lease has to run out. The goal is a second, which make bench holds; twice that
// is allowed for machines that do something else.
func TestARestartGoesOnAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 10_000, "pages": 1, "records": 1, "size": 100, "pause_ms": 5})
	d := s.start()
	read := func() int {
		n, _ := s.progress()
		return n
	}
	require.Eventually(t, func() bool { return read() > 100 }, 30*time.Second, 20*time.Millisecond)
	d.kill(t)
	before := len(s.contents())

	began := time.Now()
	d = s.start()
	require.Eventually(t, func() bool { return read() > before }, 30*time.Second, 5*time.Millisecond)
	took := time.Since(began)
	t.Logf("from start to the first commit: %s", took.Round(time.Millisecond))
	require.Less(t, took, 2*time.Second)
	d.stop(t)
}

// rows: C32, F01
//
// A daemon that starts again with the files that it had changes nothing: an
// integration that counts as changed loses its lane, and what it was doing.
func TestARestartWithTheSameFilesChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 1})
	for range 2 {
		d := s.start()
		s.ready()
		s.await(store.RunProcessed) // the plugin is there by now, and the files were read with its schema
		s.cli("reload")
		require.Equal(t, 1, s.shown("acme/load").Revision)
		d.stop(t)
		require.NotContains(t, d.log.String(), "op=update")
	}
}
