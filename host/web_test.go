package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// The daemon serves HTTP to who has its token, and says where.
//
// rows: K20
func TestTheDaemonServesHTTP(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	d := s.start()
	address := s.httpAddress()

	code, text := s.get("http://"+address+"/healthz", "")
	require.Equal(t, http.StatusOK, code, text)
	require.Eventually(t, func() bool {
		code, _ := s.get("http://"+address+"/readyz", "")
		return code == http.StatusOK
	}, time.Minute, 20*time.Millisecond)
	code, _ = s.get("http://"+address+"/metrics", "")
	require.Equal(t, http.StatusUnauthorized, code)
	token, err := os.ReadFile(filepath.Join(s.dir, "data", "admin.token"))
	require.NoError(t, err)
	code, text = s.get("http://"+address+"/nowhere", strings.TrimSpace(string(token)))
	require.Equal(t, http.StatusNotFound, code, text)
	require.Contains(t, s.cli("status"), address)

	s.await(store.RunProcessed)
	narrow, err := os.ReadFile(filepath.Join(s.dir, "data", metricsTokenName))
	require.NoError(t, err)
	code, _ = s.get("http://"+address+"/nowhere", strings.TrimSpace(string(narrow)))
	require.Equal(t, http.StatusUnauthorized, code)
	code, text = s.get("http://"+address+"/metrics", strings.TrimSpace(string(narrow)))
	require.Equal(t, http.StatusOK, code, text)
	for _, line := range []string{
		`jackfield_plugin_state{plugin="load",state="serving"} 1`, `jackfield_call_duration_seconds_count{code="0",method="ProcessStream"}`,
		`jackfield_plugin_calls_total{code="0",plugin="load"}`, `jackfield_plugin_resident_memory_bytes{plugin="load"}`,
		`jackfield_plugin_moves_total{machine="process",to="serving"} 1`, `jackfield_plugin_moves_total{machine="artifact",to="ready"} 1`,
		`jackfield_store_up 1`, `jackfield_runs{state="processed"} 1`, `jackfield_store_size_bytes{file="wal"}`,
	} {
		if !strings.Contains(text, "\n"+line) { // without all the text
			require.Fail(t, "it is not there", "%s; of this name: %s", line, ofName(text, line))
		}
	}
	for _, name := range []string{"jackfield_store_commit_seconds_count", "jackfield_store_apply_seconds_count", "jackfield_store_writes_total"} {
		require.NotContains(t, ofName(text, name+" "), name+" 0")
		require.NotEmpty(t, ofName(text, name+" "))
	}
	d.stop(t)
	require.NoFileExists(t, filepath.Join(s.dir, "data", metricsTokenName))

	s.write("host.yaml", "version: 1\nlisten: 0.0.0.0:0\n")
	refused, err := s.try("serve")
	require.Error(t, err)
	require.Contains(t, refused, "a token would cross the network in clear")
}

// httpAddress waits until the site's daemon serves HTTP, and returns where.
func (s *site) httpAddress() string {
	s.t.Helper()
	var doc struct {
		HTTP string `json:"http"`
	}
	require.Eventually(s.t, func() bool {
		out, err := s.try("status", "-o", "json")
		return err == nil && json.Unmarshal([]byte(out), &doc) == nil && doc.HTTP != ""
	}, time.Minute, 20*time.Millisecond)
	return doc.HTTP
}

// get asks for a page with a token, if it is not empty.
func (s *site) get(url, token string) (code int, text string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(s.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(raw)
}

// ofName returns the lines of a metric.
func ofName(text, line string) (found []string) {
	name := line[:strings.IndexAny(line, "{ ")]
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, name) {
			found = append(found, strings.TrimSpace(l))
		}
	}
	return found
}
