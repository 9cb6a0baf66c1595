//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/conformance"
	"github.com/jackfield/jackfield/sdk"
)

// bundled is where the plugin in JavaScript is, as a program and as a package.
var bundled = sync.OnceValues(func() (string, error) {
	dir, err := builds()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "node")
	cmd := exec.CommandContext(context.Background(), "node", "build.js", dir)
	cmd.Dir = filepath.Join("..", "examples", "node")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build examples/node: %w\n%s", err, out)
	}
	return dir, nil
})

// javaScript returns that directory.
func javaScript(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("examples/node needs Node.js 20: there is no node on the PATH")
	}
	if _, err := os.Stat(filepath.Join("..", "examples", "node", "node_modules", "esbuild")); err != nil {
		t.Skip("examples/node needs its modules: npm ci in that directory, or make node")
	}
	dir, err := bundled()
	require.NoError(t, err)
	return dir
}

// notesToken is the token of the notes' service.
const notesToken = "t0p-s3cret-notes"

// notesService serves notes with the numbers from 1 on.
type notesService struct {
	*httptest.Server
	notes   atomic.Int64  // how many there are
	huge    int64         // the number of one that is larger than a record may be
	hold    string        // the page that is not answered when it is asked for first
	held    sync.Once     // who asked
	reached chan struct{} // closed then
}

func newNotesService(t *testing.T, notes int64) *notesService {
	t.Helper()
	s := &notesService{reached: make(chan struct{})}
	s.notes.Store(notes)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after, err := strconv.ParseInt(r.FormValue("after"), 10, 64)
		limit, err2 := strconv.ParseInt(r.FormValue("limit"), 10, 64)
		switch {
		case r.Header.Get("Authorization") != "Bearer "+notesToken:
			w.WriteHeader(http.StatusUnauthorized)
			return
		case err != nil || err2 != nil || r.URL.Path != "/api/notes":
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if r.FormValue("after") == s.hold {
			s.held.Do(func() {
				close(s.reached)
				<-r.Context().Done()
			})
		}
		page := []map[string]any{}
		for id := after + 1; id <= min(after+limit, s.notes.Load()); id++ {
			note := map[string]any{"title": fmt.Sprintf("Note %d \u00e9", id), "id": id, "tags": []string{"a", "b"}}
			if id == s.huge {
				note["text"] = strings.Repeat("x", sdk.MaxRecord)
			}
			page = append(page, note)
		}
		_ = json.NewEncoder(w).Encode(page) // a client that is gone is tested elsewhere
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *notesService) settings(token string) string {
	return fmt.Sprintf(`{"api_url":%q,"token":%q}`, s.URL+"/api/", token)
}

// A plugin that is not in Go, and was written from the contract alone, keeps all of it.
func TestThePluginInJavaScriptKeepsTheContract(t *testing.T) {
	t.Parallel()
	dir, service, s := javaScript(t), newNotesService(t, 230), newShell(t)
	code := s.run("plugin", "test", filepath.Join(dir, "notes"), "-o", "json", "--settings", write(t, service.settings(notesToken)),
		"--refused-settings", write(t, service.settings("another-token")), "--remote-setting", "api_url",
		"--bad-settings", write(t, `{"api_url":"nowhere","token":"x"}`), "--future", write(t, `{"notes/all":"1000000"}`))
	var report conformance.Report
	require.NoError(t, json.Unmarshal([]byte(s.stdout), &report), s.stderr)
	require.Zero(t, code, s.stdout)
	require.Equal(t, "notes", report.Plugin)
	for _, c := range report.Checks {
		if c.Name == "skips" {
			continue
		}
		require.Equal(t, conformance.Pass, c.Verdict, "%s: %v", c.Name, c.Reasons)
	}
}

// It serves an integration of a running host: as a package that is approved, through a
// process that is killed in the middle of a run, without the note that is too large, and
// page by page from its cursor. Its log has the tenant, and no secret.
//
// rows: G30, K24
func TestAPluginInJavaScriptServes(t *testing.T) {
	t.Parallel()
	dir, service := javaScript(t), newNotesService(t, 430)
	service.huge, service.hold = 150, "200"
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 1})
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\nplugins: {dir: ./plugins}\negress: {allow: [127.0.0.1]}\n")
	require.NoError(t, os.CopyFS(filepath.Join(s.dir, "plugins", "notes"), os.DirFS(filepath.Join(dir, "package"))))
	s.write("tenants/writers.yaml", fmt.Sprintf("tenant: writers\nintegrations:\n  - {name: notes, plugin: notes, every: -1, settings: %s}\n"+
		"  - {name: far, plugin: notes, every: -1, settings: {api_url: \"http://127.0.0.2/api\", token: %s}}\n", service.settings(notesToken), notesToken))
	d := s.start()
	s.ready()
	s.until("the package is found whole", func() bool { return s.file("notes").Verdict == "unapproved" })
	s.cli("plugin", "approve", "notes")
	select {
	case <-service.reached:
	case <-time.After(time.Minute):
		require.Fail(t, "its run does not get to the third page", d.log)
	}
	require.NoError(t, syscall.Kill(s.file("notes").PID, syscall.SIGKILL))
	s.until("all notes are there but one", func() bool { return s.stored("writers/notes") == 429 })
	s.cli("integration", "check", "writers/notes")
	shell := newShell(t)
	require.Equal(t, exitFailed, shell.run("-c", filepath.Join(s.dir, "host.yaml"), "integration", "check", "writers/far", "-o", "json"))
	require.Contains(t, shell.stdout, `"code": "egress_address"`, "it goes the way that the host gives it, and passes on what that refuses")

	sync := func() runDoc {
		out, err := s.try("integration", "sync", "writers/notes", "--wait", "-q", "-o", "json")
		require.NoError(t, err, out)
		var doc struct{ Run runDoc }
		require.NoError(t, json.Unmarshal([]byte(out), &doc))
		return doc.Run
	}
	require.Zero(t, sync().Stats.Read, "nothing came after the cursor")
	service.notes.Store(435)
	require.Equal(t, 5, sync().Stats.Added)
	var doc struct{ Runs []runDoc }
	s.read(&doc, "run", "list")
	first := slices.IndexFunc(doc.Runs, func(r runDoc) bool { return r.Integration == "writers/notes" && r.Kind == "onboarding" })
	require.GreaterOrEqual(t, first, 0)
	require.Contains(t, s.cli("run", "show", doc.Runs[first].ID, "-o", "json"), "record_too_large: note/150")
	require.Contains(t, s.cli("plugin", "logs", "notes", "-o", "jsonl"), `"writers`)
	require.NotContains(t, d.log.String(), notesToken)
	d.stop(t)
	s.verified()
}

// stored returns how many records an integration has.
func (s *site) stored(integration string) int {
	s.t.Helper()
	var doc struct{ Records map[string]int }
	s.read(&doc, "integration", "show", integration)
	all := 0
	for _, n := range doc.Records {
		all += n
	}
	return all
}
