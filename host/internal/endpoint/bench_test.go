package endpoint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
)

// writeTemplates writes templates of 20 endpoints each, which differ in their names,
// addresses and some of their expressions.
func writeTemplates(tb testing.TB, dir string, n int) {
	tb.Helper()
	for i := range n {
		var b strings.Builder
		fmt.Fprintf(&b, "name: crm-%d\ntype: CRM\nregion: VN\nparameters:\n  - {name: api_key, in: header, as: X-Key, required: true, secret: true}\n  - {name: user}\n", i)
		b.WriteString("request: {base_url: 'https://{{ host }}/api', headers: {Accept: application/json}}\nauth: {type: token, endpoint: login}\nendpoints:\n")
		b.WriteString("  - {name: login, type: Auth, url: /login, body: {user: '{{ fields.user }}'}, response: {token: data.token, expires_in: data.ttl}}\n")
		for j := range 19 {
			fmt.Fprintf(&b, `  - name: endpoint-%d
    label: Endpoint %d
    type: GetData
    url: /v1/contacts/{id}/things-%d-%d
    parameters:
      - {name: id, in: path, from: body, key: contact.id}
      - {name: phone, in: query, from: call, key: number, format: e164}
      - {name: since, in: query, value: "{{ call.started_at ?? 'never' }}"}
      - {name: X-Owner, in: header, from: field, key: user}
    response:
      shape: contact
      list: data.items
      item: {id: id, name: "{{ item.first + ' ' + item.last }}", phone: "phones[0].number", email: email, company: org.name}
      extra: {score%d: "{{ item.score%d > %d }}"}
`, j, j, i, j, j%4, j%4, i%50)
		}
		require.NoError(tb, os.WriteFile(filepath.Join(dir, fmt.Sprintf("crm-%04d.yaml", i)), []byte(b.String()), 0o600))
	}
}

// BenchmarkThousandTemplates reads, checks and keeps 1,000 templates of 20 endpoints,
// as a daemon does at its start: under 2 s and 100 MB.
func BenchmarkThousandTemplates(b *testing.B) {
	dir := b.TempDir()
	writeTemplates(b, dir, 1000)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c := endpoint.NewCompiler()
		files, problems := config.LoadTemplates(dir, options(c))
		require.NoError(b, problems.Err())
		ready := make([]*endpoint.Template, 0, len(files))
		for _, f := range files {
			t, faults := c.Compile(f.Template)
			require.Empty(b, faults)
			ready = append(ready, t)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-kept")
		runtime.KeepAlive(ready)
		runtime.KeepAlive(files)
		runtime.KeepAlive(c)
	}
}
