package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kinds are what the two directories have, each with the text of a good file, and one
// that has a value somewhere that nothing is said about.
func kindsOfFiles() map[string]struct{ good, loose, twice string } {
	return map[string]struct{ good, loose, twice string }{
		"tenants": {"tenant: a\n", "tenant: a\nintegrations: [{name: a, plugin: free, settings: {x: %s}}]\n", "tenant: a\ntenant: b\n"},
		"templates": {
			"name: a\ntype: CRM\nendpoints: [{name: get, type: GetData, url: /}]\n",
			"name: a\ntype: CRM\niframe: {x: %s}\nendpoints: [{name: get, type: GetData, url: /}]\n",
			"name: a\ntype: CRM\nendpoints: [{name: get, type: GetData, url: /, url: /b}]\n",
		},
	}
}

// A file that does harm is refused with what is wrong with it, in the directory of
// tenants and in that of templates; those beside it are read.
//
// rows: E05, F21
func TestE05FilesThatDoHarmAreRefused(t *testing.T) {
	t.Parallel()
	bomb := "{a: &a [1,1,1,1,1,1,1,1,1,1]"
	for level := 'b'; level < 'j'; level++ {
		bomb += fmt.Sprintf(", %c: &%c [%s]", level, level, strings.TrimSuffix(strings.Repeat("*"+string(level-1)+",", 10), ","))
	}
	for kind, text := range kindsOfFiles() {
		put := func(of string) func(t *testing.T, dir string) {
			return func(t *testing.T, dir string) { t.Helper(); write(t, filepath.Join(dir, kind, "a.yaml"), of) }
		}
		link := func(target string) func(t *testing.T, dir string) {
			return func(t *testing.T, dir string) {
				t.Helper()
				write(t, filepath.Join(dir, "outside", "a.yaml"), text.good)
				write(t, filepath.Join(dir, kind, "..v1", "a.yaml"), text.good)
				require.NoError(t, os.Symlink("..v1", filepath.Join(dir, kind, "..data")))
				require.NoError(t, os.Symlink("../outside", filepath.Join(dir, kind, "..out")))
				require.NoError(t, os.Symlink(strings.ReplaceAll(target, "DIR", dir), filepath.Join(dir, kind, "a.yaml")))
			}
		}
		for name, c := range map[string]struct {
			make func(t *testing.T, dir string)
			code string // empty: it is read
			want string
		}{
			"good":                    {put(text.good), "", ""},
			"LinkThatStaysInside":     {link("..data/a.yaml"), "", ""},
			"LinkThatComesBack":       {link("../" + kind + "/..v1/a.yaml"), CodeUnreadable, "escapes"},
			"LinkThatLeadsOut":        {link("../outside/a.yaml"), CodeUnreadable, "the link leaves the " + kind + " directory"},
			"LinkThatLeadsOutTwice":   {link("..out/a.yaml"), CodeUnreadable, "the link leaves the " + kind + " directory"},
			"AbsoluteLinkOut":         {link("DIR/outside/a.yaml"), CodeUnreadable, "the link leaves the " + kind + " directory"},
			"AbsoluteLinkInside":      {link("DIR/" + kind + "/..v1/a.yaml"), CodeUnreadable, "the link is absolute"},
			"LinkToASecretOfTheHost":  {link("/proc/self/environ"), CodeUnreadable, "the link leaves the " + kind + " directory"},
			"LinkToNothing":           {link("nowhere"), CodeMissingFile, "the file does not exist"},
			"LinkToItself":            {link("a.yaml"), CodeUnreadable, ""},
			"LinkToADirectory":        {link("..v1"), CodeUnreadable, "not a regular file"},
			"AtTheSizeCap":            {put(text.good + strings.Repeat("#", maxFile-len(text.good))), "", ""},
			"OverTheSizeCap":          {put(text.good + strings.Repeat("#", maxFile-len(text.good)+1)), CodeTooLarge, "larger than 1 MiB"},
			"TooDeep":                 {put(fmt.Sprintf(text.loose, strings.Repeat("[", 40)+strings.Repeat("]", 40))), CodeTooLarge, "nested deeper than 32 levels"},
			"TooDeepForTheParser":     {put(fmt.Sprintf(text.loose, strings.Repeat("[", 200_000))), CodeSyntax, ""},
			"TooManyAliases":          {put(fmt.Sprintf(text.loose, "{a: &a 1, b: ["+strings.Repeat("*a, ", 200)+"*a]}")), CodeTooLarge, "201 aliases"},
			"AliasBomb":               {put(fmt.Sprintf(text.loose, bomb+"}")), CodeTooLarge, "more than 50000 values"},
			"AliasOfItself":           {put(fmt.Sprintf(text.loose, "&a [*a]")), CodeTooLarge, "nested deeper"},
			"DuplicateKey":            {put(text.twice), CodeDuplicateKey, ""},
			"DuplicateKeySomewhere":   {put(fmt.Sprintf(text.loose, "{k: 1, k: 2}")), CodeDuplicateKey, ""},
			"UnknownKey":              {put(text.good + "nonsense: 1\n"), CodeUnknownKey, "nonsense"},
			"SeveralDocuments":        {put(text.good + "---\n" + text.good), CodeSyntax, "several documents"},
			"NoTextInUTF8":            {put(text.good + "# \xff\xfe\n"), CodeSyntax, "not text in UTF-8"},
			"NothingAtAll":            {put(""), CodeSyntax, "empty"},
			"ControlCharactersInside": {put(text.good + "# \x00\n"), CodeSyntax, "UTF-8"},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				host := write(t, filepath.Join(dir, "host.yaml"), "version: 1\n")
				require.NoError(t, os.MkdirAll(filepath.Join(dir, "tenants"), 0o700))
				beside := strings.NewReplacer("tenant: a\n", "tenant: beside\n", "name: a\n", "name: beside\n").Replace(text.good)
				write(t, filepath.Join(dir, kind, "beside.yaml"), beside)
				c.make(t, dir)
				snap := Load(host, Options{})
				good := map[string]bool{}
				for _, f := range snap.Files {
					good[filepath.Base(f.Path)] = f.Good
				}
				for _, f := range snap.Templates {
					good[filepath.Base(f.Path)] = f.Good
				}
				require.Equal(t, map[string]bool{"a.yaml": c.code == "", "beside.yaml": true}, good, "%v", snap.Problems)
				if c.code == "" {
					return
				}
				require.Contains(t, codes(snap.Problems), c.code)
				require.ErrorContains(t, snap.Problems.Err(), c.want)
				require.Equal(t, filepath.Join(dir, kind, "a.yaml"), snap.Problems[0].File)
			})
		}
	}
}

// A link that takes the place of a file after the directory was listed is not followed.
//
// rows: E05
func TestE05ALinkThatComesLaterIsNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := write(t, filepath.Join(dir, "secret"), canary)
	path := write(t, filepath.Join(dir, "tenants", "a.yaml"), "tenant: a\n")
	of, err := openFolder(filepath.Join(dir, "tenants"), "tenants")
	require.NoError(t, err)
	defer of.close()
	paths, _, _, err := of.paths()
	require.NoError(t, err)
	require.Equal(t, []string{path}, paths)
	for _, target := range []string{secret, "../secret", "../tenants/../secret"} {
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Symlink(target, path))
		text, err := of.read(path, maxFile)
		require.Error(t, err, target)
		require.Empty(t, text)
	}
	moved := filepath.Join(dir, "moved") // nor the directory itself, which may be another one by now
	require.NoError(t, os.Rename(filepath.Join(dir, "tenants"), moved))
	require.NoError(t, os.Remove(filepath.Join(moved, "a.yaml")))
	write(t, filepath.Join(moved, "a.yaml"), "tenant: of-before\n")
	write(t, filepath.Join(dir, "tenants", "a.yaml"), "tenant: other\n")
	text, err := of.read(path, maxFile)
	require.NoError(t, err)
	require.Equal(t, "tenant: of-before\n", string(text))
}
