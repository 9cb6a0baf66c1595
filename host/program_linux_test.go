package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What is dropped is mapped no more, and reads as before when it is used again.
func TestMappedPagesOfAFileAreGivenBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "the program")
	text := bytes.Repeat([]byte("jackfield"), 100_000)
	require.NoError(t, os.WriteFile(path, text, 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	pages, err := unix.Mmap(int(f.Fd()), 0, len(text), unix.PROT_READ, unix.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(pages)) })
	require.Equal(t, text, pages)
	require.NotEqual(t, "0", residentOf(t, path))
	dropFile(path)
	require.Equal(t, "0", residentOf(t, path))
	require.Equal(t, text, pages)
}

// residentOf returns the kilobytes of a mapped file that are in this process.
func residentOf(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(raw), path+"\n")
	require.True(t, ok)
	_, after, ok = strings.Cut(after, "\nRss:")
	require.True(t, ok)
	return strings.Fields(after)[0]
}
