//go:build unix

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// loadPackage is the plugin load as a package, by path.
func (s *site) loadPackage(version string) map[string][]byte {
	s.t.Helper()
	files := map[string][]byte{
		"plugin.yaml": fmt.Appendf(nil, "schema: 1\nname: load\nversion: %s\nexecutables: {%s_%s: bin/load}\n", version, runtime.GOOS, runtime.GOARCH),
		"bin/load":    s.version(version, ""),
		"LICENSE":     []byte("free"),
	}
	var sums strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256(files[name])
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum[:]), name)
	}
	files["SHA256SUMS"] = []byte(sums.String())
	return files
}

// unfold writes files below the plugin directory, one after the other.
func (s *site) unfold(folder string, files map[string][]byte) {
	s.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(s.dir, "plugins", folder, filepath.FromSlash(name))
		require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
		_ = os.Remove(path)
		require.NoError(s.t, os.WriteFile(path, files[name], 0o755))
	}
}

func packedFiles(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(files[name]))}))
		_, err := w.Write(files[name])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zip.Close())
	return out.Bytes()
}

// A package, as a folder and as an archive, serves like a bare program once it is
// approved, and is replaced file by file while it serves.
//
// rows: G30, H16, F07, C60
func TestPackageServesAndIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	require.NoError(t, os.Remove(filepath.Join(s.dir, "plugins", "load")))
	require.NoError(t, os.Remove(filepath.Join(s.dir, "plugins.lock")))
	d := s.start()
	s.ready()
	s.unfold("load", s.loadPackage("1.1.0"))
	s.until("the package is found whole", func() bool { return s.file("load").Verdict == "unapproved" })
	require.Equal(t, "load", s.file("load").Name)
	s.cli("plugin", "approve", "load")
	s.await(store.RunProcessed)
	require.Equal(t, "1.1.0", s.serving().Version)
	old := s.serving().PID

	s.unfold("load", s.loadPackage("1.2.0"))
	s.until("the next version is found whole, and the old one serves", func() bool {
		p := s.serving()
		return p.PID == old && p.Verdict == "kept" && strings.Contains(s.cli("plugin", "list"), "unapproved")
	})
	s.cli("plugin", "approve", "load")
	s.until("it took over", func() bool { return s.serving().Version == "1.2.0" })

	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "plugins", "load")))
	s.place("load-1.3.0.tar.gz", packedFiles(t, s.loadPackage("1.3.0")), 0o644)
	s.cli("plugin", "approve", "load-1.3.0.tar.gz")
	s.until("the archive serves", func() bool { return s.serving().Version == "1.3.0" })
	require.Equal(t, "processed", s.sync().State)
	d.stop(t)
}

// Versions that stand beside each other in one folder: the newest is approved by the
// plugin's name, changes over without the other being taken away, and gives way to it
// again.
//
// rows: G30, H16
func TestVersionsStandBesideEachOther(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	require.NoError(t, os.Remove(filepath.Join(s.dir, "plugins", "load")))
	require.NoError(t, os.Remove(filepath.Join(s.dir, "plugins.lock")))
	d := s.start()
	s.ready()
	verdicts := func() map[string]string {
		found := map[string]string{}
		for _, p := range s.plugins() {
			if p.File == "" {
				continue // the one before, on its way out
			}
			place, err := filepath.Rel(filepath.Join(s.dir, "plugins"), p.File)
			require.NoError(t, err)
			found[place] = p.Verdict
		}
		return found
	}
	s.unfold("load/1.9.0", s.loadPackage("1.9.0"))
	s.until("the first version is found whole", func() bool { return maps.Equal(verdicts(), map[string]string{"load/1.9.0": "unapproved"}) })
	s.cli("plugin", "approve", "load")
	s.await(store.RunProcessed)
	old := s.serving()
	require.Equal(t, "1.9.0", old.Version)

	s.unfold("load/1.10.0", s.loadPackage("1.10.0"))
	s.until("the second is found, and the first serves", func() bool {
		return maps.Equal(verdicts(), map[string]string{"load/1.9.0": "approved", "load/1.10.0": "unapproved"}) && s.serving().PID == old.PID
	})
	s.cli("plugin", "approve", "load")
	s.until("it took over", func() bool {
		return maps.Equal(verdicts(), map[string]string{"load/1.9.0": "unapproved", "load/1.10.0": "approved"}) && s.serving().Version == "1.10.0"
	})
	s.cli("plugin", "use", "load@1.9.0")
	s.until("it gave way", func() bool {
		return maps.Equal(verdicts(), map[string]string{"load/1.9.0": "approved", "load/1.10.0": "pinned"}) && s.serving().Version == "1.9.0"
	})
	require.Equal(t, "processed", s.sync().State)
	d.stop(t)
}

// A folder is run by another plugin's program: in a process of its own, with a private
// copy of the folder, known by the digest of its files. A new version of either
// replaces the process.
//
// rows: G30, H18, H24
func TestFolderIsRunByItsRuntime(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	s.write("tenants/folder.yaml", "tenant: folder\nintegrations:\n  - name: hello\n    plugin: hello\n    connectors: [things]\n    every: -1\n"+small+"\n")
	folder := func(version string) map[string][]byte {
		return map[string][]byte{
			"plugin.yaml":      fmt.Appendf(nil, "schema: 1\nname: hello\nversion: %s\nruntime: load\n", version),
			"lib/variant.json": fmt.Appendf(nil, `{"name": "hello", "version": %q}`, version),
		}
	}
	hello := func() pluginDoc {
		for _, p := range s.plugins() {
			if p.Name == "hello" && p.State == "serving" {
				return p
			}
		}
		return pluginDoc{}
	}
	s.unfold("greeting", folder("1.0.0"))
	d := s.start()
	s.ready()
	s.until("it is found", func() bool { return s.file("greeting").Verdict == "unapproved" })
	s.cli("plugin", "approve", "greeting")
	s.until("it serves", func() bool { return hello().PID != 0 })
	s.until("its integration is active", func() bool { return s.shown("folder/hello").State == "active" })
	first := hello()
	require.Equal(t, "1.0.0", first.Version)
	require.NotEqual(t, s.serving().PID, first.PID, "a process of its own")
	require.NotEqual(t, s.serving().Digest, first.Digest)

	s.unfold("greeting", folder("1.1.0"))
	s.until("the change is found, and the old one serves", func() bool { return hello().PID == first.PID && hello().Verdict == "kept" })
	s.cli("plugin", "approve", "greeting")
	s.until("the new one took over", func() bool { return hello().Version == "1.1.0" })
	second := hello()

	s.upgrade("2.0.0", "") // the runtime
	s.until("the folder has the new runtime, and no other digest", func() bool {
		p := hello()
		return p.PID != 0 && p.PID != second.PID && p.Digest == second.Digest
	})
	third := hello()
	copied := filepath.Join(s.dir, "data", "folders", third.Digest, "lib", "variant.json")
	require.FileExists(t, copied)
	require.NoError(t, os.Remove(copied)) // somebody changes what was approved
	require.NoError(t, os.WriteFile(copied, []byte(`{"name": "hello", "version": "6.6.6"}`), 0o600))
	require.NoError(t, syscall.Kill(third.PID, syscall.SIGKILL))
	s.until("it serves again, as it was approved", func() bool {
		p := hello()
		require.NotEqual(t, "6.6.6", p.Version)
		if p.PID != 0 && p.PID != third.PID {
			return true
		}
		s.cli("plugin", "rescan")
		return false
	})
	d.stop(t)
}
