package config

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: G12
func TestTemplatesThatDidNotChangeAreNotCheckedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(i int, url string) {
		text := fmt.Sprintf("name: t%d\ntype: CRM\nendpoints: [{name: x, type: GetData, url: %s}]\n", i, url)
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("t%d.yaml", i)), []byte(text), 0o600))
	}
	for i := range 20 {
		write(i, "/a")
	}
	var checked atomic.Int64
	opts := Options{Read: &ReadTemplates{}, CheckTemplate: func(store.Template) []TemplateFault { checked.Add(1); return nil }}
	names := func(files []TemplateFile) map[string]string {
		out := map[string]string{}
		for _, f := range files {
			require.True(t, f.Good, f.Path)
			out[f.Name] = f.Template.Endpoints[0].URL
		}
		return out
	}
	files, problems := LoadTemplates(dir, opts)
	require.Empty(t, problems)
	require.Len(t, names(files), 20)
	require.EqualValues(t, 20, checked.Load())
	write(7, "/b")
	require.NoError(t, os.Remove(filepath.Join(dir, "t3.yaml")))
	files, problems = LoadTemplates(dir, opts)
	require.Empty(t, problems)
	require.EqualValues(t, 21, checked.Load())
	got := names(files)
	require.Len(t, got, 19)
	require.Equal(t, "/b", got["t7"])
	require.Len(t, opts.Read.files, 19, "what is gone is forgotten")

	// The same name in another file is told of, although neither is read again.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "zz.yaml"), []byte("name: t7\ntype: CRM\nendpoints: [{name: x, type: GetData, url: /c}]\n"), 0o600))
	for range 2 {
		_, problems = LoadTemplates(dir, opts)
		require.Len(t, problems, 1)
		require.Equal(t, CodeDuplicateName, problems[0].Code)
		require.Equal(t, 1, problems[0].Line)
	}
}

// rows: E03
func TestE03AFieldThatGoesIntoAHeaderHasNoLineBreak(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	host := filepath.Join(dir, "host.yaml")
	put := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	put("host.yaml", "version: 1\n")
	put("templates/crm.yaml", "name: crm\ntype: CRM\nparameters: [{name: key, in: header, as: X-Key, secret: true}, {name: sum, in: md5}, {name: pem}]\nendpoints: [{name: x, type: GetData, url: /}]\n")
	put("key", "two\nlines\n")
	for fields, bad := range map[string]bool{
		`{key: "a\r\nX-Evil: 1"}`: true, `{key: "a\nb"}`: true, `{key: "a\0b"}`: true, `{key: "${file:../key}"}`: true,
		`{key: "a\tb"}`: false, `{sum: "a\nb"}`: false, `{pem: "a\nb"}`: false,
	} {
		put("tenants/a.yaml", "tenant: a\nintegrations:\n  - name: a\n    template: crm\n    host: crm.example\n    fields: "+fields+"\n")
		problems := Load(host, Options{}).Problems
		require.Equal(t, bad, problems.Failed(), "%s: %v", fields, problems)
		if bad {
			require.Equal(t, []any{6, 19, CodeBadValue}, []any{problems[0].Line, problems[0].Col, problems[0].Code}, "%v", problems)
			require.Contains(t, problems[0].Message, "fields.key: it goes into a header")
			require.NotContains(t, problems.Error(), "X-Evil", "it may be a secret")
		}
	}
}
