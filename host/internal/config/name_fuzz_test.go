package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// A name is taken if it can be a part of a path and of an address as it is, and refused
// otherwise, wherever the files have one.
//
// rows: E04
func FuzzNames(f *testing.F) {
	for _, seed := range []string{
		"a", "a-b", "a.b_c-1", "0", "a..b", "a.", "..", ".", "...", "../a", "a/b", "/a", `a\b`, "..\\a", "a/../b", "a/..", "~", "~root", ".hidden", "-a", "_a",
		"", " ", "a ", " a", "a\x00", "a\n", "a\r\nb", "A", "é", "ａ", "a%2fb", "%2e%2e", "a?b", "a#b", "a:b", "C:", "c:\\a", "con", "nul.", "a*b", "a\u2025b", "a\u2215b", "${env:HOME}", "{{ a }}",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("../", 20) + "etc/passwd", "a\xff", "null", "true", "1e3", "@a", "a;b", "$(id)", "`id`", "a|b", "<a>",
	} {
		f.Add(seed)
	}
	dir := f.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(f, err)
	f.Cleanup(func() { _ = root.Close() })
	path := filepath.Join(f.TempDir(), "file.yaml")
	named := regexp.MustCompile(`\A[a-z0-9][a-z0-9._-]{0,62}\z`)
	f.Fuzz(func(t *testing.T, name string) {
		good := sdk.ValidName(name)
		require.Equal(t, named.MatchString(name), good, "%q", name)
		if good {
			require.True(t, filepath.IsLocal(name), name)
			require.Equal(t, name, filepath.Base(filepath.Join(dir, name)))
			require.Equal(t, dir, filepath.Dir(filepath.Join(dir, name)))
			require.Equal(t, name, url.PathEscape(name))
			_, err := root.Stat(name)
			require.ErrorIs(t, err, os.ErrNotExist, "it is looked for inside")
		}
		quoted, err := json.Marshal(name)
		require.NoError(t, err)
		for where, text := range map[string]string{
			"tenant":      "tenant: %s\nintegrations: [{name: a, plugin: free}]\n",
			"integration": "tenant: a\nintegrations: [{name: %s, plugin: free}]\n",
			"plugin":      "tenant: a\nintegrations: [{name: a, plugin: %s}]\n",
			"template":    "name: %s\ntype: CRM\nendpoints: [{name: a, type: GetData, url: /}]\n",
			"endpoint":    "name: a\ntype: CRM\nendpoints: [{name: %s, type: GetData, url: /}]\n",
		} {
			require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, text, quoted), 0o600))
			var taken bool
			var problems Problems
			if where == "template" || where == "endpoint" {
				var file TemplateFile
				file, problems = LoadTemplateFile(path, Options{})
				taken = file.Good
			} else {
				var file TenantFile
				file, problems = LoadTenantFile(path, Defaults{}, nil, Options{})
				taken = file.Good
			}
			require.Equal(t, good, taken, "%s %q: %v", where, name, problems)
		}
	})
}
