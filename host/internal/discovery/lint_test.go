package discovery

import (
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lint returns what is wrong with the package at path, a line each.
func lint(t *testing.T, host, path string) (lines []string) {
	t.Helper()
	found, err := Lint(t.TempDir(), host, path)
	require.NoError(t, err)
	for _, f := range found {
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s: %s", f.File, f.Line, f.Col, f.Code, f.Text))
	}
	return lines
}

// elfOf is the head of a program for a processor: no section, nothing to load.
func elfOf(machine elf.Machine) string {
	head := make([]byte, 64)
	copy(head, elf.ELFMAG)
	head[elf.EI_CLASS], head[elf.EI_DATA], head[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	head[16], head[18], head[19], head[20] = byte(elf.ET_EXEC), byte(machine), byte(machine>>8), byte(elf.EV_CURRENT)
	head[52], head[54], head[58] = 64, 56, 64
	return string(head)
}

// Everything that is wrong with a package is told at once, with the place of each.
//
// rows: H16, H34
func TestLintTellsAllThatIsWrongAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := tree{
		packageFile: `schema: 2
name: Slack
version: 1.4.2
min_host: new
color: blue
executables:
  linux_amd64: bin/amd64
  linux_arm64: bin/arm64
  linux_riscv64: bin/none
  windows: bin/script
manifest: {}
`,
		"bin/amd64": elfOf(elf.EM_X86_64), "bin/arm64": elfOf(elf.EM_X86_64), "bin/script": string(script("x")), "LICENSE": "free",
	}
	tr[sumsFile] = sum([]byte("other")) + "  LICENSE\nnonsense\n" + sum([]byte("x")) + "  gone\n" + sum([]byte(tr[packageFile])) + "  plugin.yaml\n"
	tr.lay(t, dir)
	require.NoError(t, os.Symlink("/bin/sh", filepath.Join(dir, "link")))
	require.NoError(t, os.Chmod(filepath.Join(dir, "bin", "amd64"), 0o644))
	require.Equal(t, []string{
		`SHA256SUMS:0:0: bad-package: "bin/amd64" is not listed in SHA256SUMS`,
		`SHA256SUMS:0:0: bad-package: "bin/arm64" is not listed in SHA256SUMS`,
		`SHA256SUMS:0:0: bad-package: "bin/script" is not listed in SHA256SUMS`,
		`SHA256SUMS:1:1: incomplete: "LICENSE" is not what SHA256SUMS says`,
		`SHA256SUMS:2:1: bad-package: SHA256SUMS:2: "nonsense" is no digest and path, or the second of a path`,
		`SHA256SUMS:3:1: incomplete: "gone" is listed in SHA256SUMS and not there`,
		`link:0:0: bad-package: "link" is a link or a special file`,
		`plugin.yaml:1:1: bad-package: schema 2 is not supported, want 1`,
		`plugin.yaml:2:1: bad-package: name: "Slack" is no plugin name`,
		`plugin.yaml:4:1: bad-package: min_host: "new" is no version such as 0.3.0`,
		`plugin.yaml:5:1: bad-package: field color not found`,
		`plugin.yaml:7:3: not-executable: executables: linux_amd64: "bin/amd64": the file is not executable`,
		`plugin.yaml:8:3: wrong-arch: executables: linux_arm64: "bin/arm64": it is built for linux_amd64`,
		`plugin.yaml:9:3: incomplete: executables: linux_riscv64: "bin/none": it is missing`,
		`plugin.yaml:10:3: bad-package: executables: windows: "bin/script": it is for no platform`,
		`plugin.yaml:11:1: bad-package: manifest: only a folder that a runtime runs has one; a program tells its own`,
	}, lint(t, "", dir))
}

// rows: H34
func TestLintOfSettingsAndPackagesAndPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := runtimeTree()
	good[packageFile] += "manifest:\n  label: Hello\n  settings:\n    key: {type: string, secret: true, required: true, minLength: 1}\n"
	good.lay(t, filepath.Join(dir, "good"))
	require.Empty(t, lint(t, "", filepath.Join(dir, "good")))

	bad := maps.Clone(good)
	bad[packageFile] += "    pages: {type: many}\n    to: {type: string, required: 1}\n    less: {minimum: 1}\n    way: {type: string, $ref: 'file:///etc/passwd'}\n    of: {type: string, pattern: '('}\n    list: [1]\n"
	bad.lay(t, filepath.Join(dir, "bad"))
	found := lint(t, "", filepath.Join(dir, "bad"))
	require.Len(t, found, 6, "%q", found)
	for i, want := range []string{"pages: it is no JSON Schema: at '/type': ", "to: required is true or false", "less: it needs a type", "way: ", "of: it is no JSON Schema: at '/pattern': ", "list: a mapping"} {
		require.Contains(t, found[i], fmt.Sprintf("plugin.yaml:%d:5: bad-package: manifest.settings.%s", 9+i, want))
	}

	broken := tree{packageFile: "schema: 1\nname: [slack\n"}
	broken.lay(t, filepath.Join(dir, "broken"))
	found = lint(t, "", filepath.Join(dir, "broken"))
	require.Regexp(t, `^plugin\.yaml:[23]:\d+: bad-package: `, strings.Join(found, "\n"))

	archive := filepath.Join(dir, "slack-1.4.2.tar.gz")
	whole := packed(t, binaryTree("1.4.2").entries()...)
	require.NoError(t, os.WriteFile(archive, whole, 0o600))
	require.Empty(t, lint(t, "", archive))
	require.NoError(t, os.WriteFile(archive, whole[:len(whole)/2], 0o600))
	require.Contains(t, lint(t, "", archive)[0], "incomplete")

	program := filepath.Join(dir, "slack")
	require.NoError(t, os.WriteFile(program, script("x"), 0o600))
	require.Equal(t, []string{":0:0: not-executable: the file is not executable"}, lint(t, "", program))
	require.NoError(t, os.Chmod(program, 0o755))
	require.Empty(t, lint(t, "", program))
	require.NoError(t, os.WriteFile(program+checksumExt, []byte(sum(nil)+"\n"), 0o600))
	require.Contains(t, lint(t, "", program)[0], "mismatch: its digest is")
	_, err := Lint(t.TempDir(), "", filepath.Join(dir, "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
