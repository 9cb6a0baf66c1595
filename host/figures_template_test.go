//go:build unix

package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
)

// manyTemplates is how many templates of 20 endpoints each are loaded.
const manyTemplates = 1000

// measureTemplates loads a thousand templates as a daemon does at its start, and looks
// at a daemon that has them.
func measureTemplates(t *testing.T, f *figures) {
	t.Helper()
	s := newSite(t, nil)
	s.writeTemplates(manyTemplates)
	var took, kept []float64
	for range figuresRounds {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		compiler, read := endpoint.NewCompiler(), &config.ReadTemplates{}
		opts := templateOptions(compiler, config.Options{})
		opts.Read = read
		began := time.Now()
		files, problems := config.LoadTemplates(filepath.Join(s.dir, "templates"), opts)
		took = append(took, time.Since(began).Seconds())
		require.NoError(t, problems.Err())
		require.Len(t, files, manyTemplates)
		runtime.GC()
		runtime.ReadMemStats(&after)
		kept = append(kept, float64(after.HeapAlloc-before.HeapAlloc)/1e6)
		runtime.KeepAlive(compiler)
		runtime.KeepAlive(read)
		runtime.KeepAlive(files)
	}
	what := fmt.Sprintf("%d templates of 20 endpoints", manyTemplates)
	f.line(what+": read, and every expression checked", fmt.Sprintf("%.2f s", median(took)), "<= 2 s", median(took) <= 2)
	f.most("  what is kept of them", median(kept), 100, "MB")

	began := time.Now()
	d := s.start()
	s.until("all are stored", func() bool { return s.storedTemplates() == manyTemplates })
	f.plain("  from the start of the daemon until it has stored them", fmt.Sprintf("%.2f s", time.Since(began).Seconds()))
	settle(t)
	if _, err := resident(d.cmd.Process.Pid); errors.Is(err, os.ErrNotExist) {
		f.plain("  memory of the daemon with them", "not measured on this system")
	} else {
		f.most("  memory of the daemon with them", residentMB(t, d), 100, "MB")
		f.plain("  the most of it while it started", fmt.Sprintf("%.0f MB", peakMB(t, d)))
		before := processorTime(t, d.cmd.Process.Pid)
		settle(t)
		f.most("  processor time of that daemon in 5 s, idle", micros(processorTime(t, d.cmd.Process.Pid)-before)/1000, 250, "ms")
	}
	d.stop(t)
	if _, err := resident(os.Getpid()); err != nil {
		return
	}
	d = s.start() // it has them in its store, and in files
	s.ready()
	for before := -time.Hour; ; settle(t) {
		now := processorTime(t, d.cmd.Process.Pid)
		if now-before < 250*time.Millisecond { // it has read them all
			break
		}
		before = now
	}
	f.plain("  the same when it starts again", fmt.Sprintf("%.0f MB", peakMB(t, d)))
	d.stop(t)
}

// writeTemplates writes templates of 20 endpoints each, which differ in their names,
// addresses and some of their expressions.
func (s *site) writeTemplates(n int) {
	s.t.Helper()
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
		s.write(fmt.Sprintf("templates/crm-%04d.yaml", i), b.String())
	}
}

// storedTemplates counts what the store has; 0 if there is none yet.
func (s *site) storedTemplates() (n int) {
	s.t.Helper()
	path := filepath.Join(s.dir, "data", "jackfield.db")
	if _, err := os.Stat(path + "-wal"); err != nil {
		return 0
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)")
	require.NoError(s.t, err)
	if db.QueryRowContext(s.t.Context(), "SELECT count(*) FROM templates").Scan(&n) != nil { // no table yet
		n = 0
	}
	require.NoError(s.t, db.Close())
	return n
}

// processorTime returns how long the threads of a process have run.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(raw), ") ") // behind the name, which may have blanks
	require.True(t, ok)
	fields := strings.Fields(rest)
	var user, system int64
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	require.NoError(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond // in hundredths of a second, on each Linux
}
