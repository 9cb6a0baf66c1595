//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// builtExample are the programs of examples/crm, built when the first test needs them.
var builtExample struct {
	once sync.Once
	err  error
}

// exampleSite is a site with the programs of examples/crm.
func exampleSite(t *testing.T) *site {
	t.Helper()
	bin := buildJS(t)
	builtExample.once.Do(func() {
		cmd := exec.CommandContext(context.Background(), "go", "build", "-ldflags=-s -w", "-o", bin+"/", "../examples/crm/...")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			builtExample.err = fmt.Errorf("build examples/crm: %w\n%s", err, out)
		}
	})
	require.NoError(t, builtExample.err)
	s := &site{t: t, dir: t.TempDir(), bin: bin}
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\nplugins: {dir: ./plugins}\negress: {allow: [127.0.0.1]}\ncalls: {lookup: 25s}\n")
	template, err := os.ReadFile("../examples/crm/templates/acme-crm.yaml")
	require.NoError(t, err)
	patient := strings.Replace(string(template), "timeout: 4s", "timeout: 60s", 1) // a busy machine is no CRM that is down
	require.NotEqual(t, string(template), patient)
	s.write("templates/acme-crm.yaml", patient)
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "plugins"), 0o750))
	return s
}

// fakeCRM starts a CRM of its own and returns its host and port.
func (s *site) fakeCRM() string {
	s.t.Helper()
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, "fakecrm"), "-child")
	stdin, err := cmd.StdinPipe()
	require.NoError(s.t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(s.t, err)
	return strings.TrimPrefix(strings.TrimSpace(line), "http://")
}

// crmHolds returns what a CRM holds, without the keys of requests and its own address.
func (s *site) crmHolds(host string) string {
	s.t.Helper()
	ask := func(method, path, token, body string) []byte {
		req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+host+path, strings.NewReader(body))
		require.NoError(s.t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(s.t, err)
		raw, err := io.ReadAll(resp.Body)
		require.NoError(s.t, err)
		require.NoError(s.t, resp.Body.Close())
		return raw
	}
	var login struct{ Data struct{ Token string } }
	require.NoError(s.t, json.Unmarshal(ask(http.MethodPost, "/api/login", "", `{"key": "key-of-acme"}`), &login))
	var holds map[string]any
	require.NoError(s.t, json.Unmarshal(ask(http.MethodGet, "/api/holdings", login.Data.Token, ""), &holds))
	delete(holds, "written")
	raw, err := json.MarshalIndent(holds, "", " ")
	require.NoError(s.t, err)
	return strings.ReplaceAll(string(raw), host, "CRM")
}

// exampleCalls are three calls: of somebody known, of a number that two have, and of
// nobody known, who becomes a contact and calls again.
func exampleCalls(begin time.Time) [][]string {
	at := func(after time.Duration) string { return begin.Add(after).UTC().Format(time.RFC3339) }
	rings := func(call, from string) []string {
		return []string{"call.started", "--call", call, "--from", from, "--to", "200", "--agent", "ann", "--at", at(0)}
	}
	return [][]string{
		rings("1", "+4930123456"),
		{"call.connected", "--call", "1", "--agent", "ann", "--at", at(5 * time.Second)},
		{"ticket.create", "--call", "1", "subject=Hi", "priority=high"},
		{"ticket.create", "--call", "1", "subject=Wants a refund", "priority=high", "contact_id=c-1"},
		{"call.ended", "--call", "1", "--result", "COMPLETED", "--duration", "93s", "--disposition", "sold", "--at", at(time.Minute)},
		{"sms.sent", "--call", "1", "--to", "+4930123456", "--text", "Thank you", "--agent", "ann"},
		rings("2", "+4940555100"),
		{"call.updated", "--call", "2", "--update", "contact", "contact_id=c-3"},
		{"call.ended", "--call", "2", "--result", "NO_ANSWER", "--at", at(time.Minute)},
		rings("3", "+4989900100"),
		{"contact.create", "--call", "3", "name=", "email=nobody"},
		{"contact.create", "--call", "3", "name=Bo Berg", "company=Berg AG", "phone=+4989900100", "email=bo@berg.example"},
		{"contact.create", "--call", "3b", "name=Bo Berg again", "phone=+49 89 900-100"},
		rings("4", "+4989900100"),
		rings("5", "+4940555100"),
		{"call.connected", "--call", "5", "--agent", "ann", "--at", at(5 * time.Second)},
		{"call.updated", "--call", "5", "--update", "contact", "contact_id=c-2"},
		{"call.ended", "--call", "5", "--result", "COMPLETED", "--duration", "9s", "--at", at(time.Minute)},
		rings("6", "+4940555100"),
		{"call.updated", "--call", "6", "--update", "contact", "contact_id=c-3"},
		{"call.connected", "--call", "6", "--agent", "ann", "--at", at(5 * time.Second)},
		{"call.ended", "--call", "6", "--result", "COMPLETED", "--duration", "9s", "--at", at(time.Minute)},
	}
}

// play sends the calls to an integration and returns what each event came to.
func (s *site) play(integration, host string, begin time.Time) []string {
	s.t.Helper()
	var out []string
	for _, event := range exampleCalls(begin) {
		var stdout, stderr bytes.Buffer
		args := append([]string{"-c", filepath.Join(s.dir, "host.yaml"), "hook", "fire", event[0], integration, "--wait", "60s", "-o", "json"}, event[1:]...)
		_ = Run(s.t.Context(), args, &stdout, &stderr) // what failed is told on stdout, too
		var doc struct {
			Result struct {
				State  string
				Answer struct {
					ID, URL  string
					Contacts []sdk.CallContact
					Iframe   sdk.Screen // as it is shown: an empty list is none
				}
				Error *struct{ Fields map[string]string }
			}
		}
		require.NoError(s.t, json.Unmarshal(stdout.Bytes(), &doc), "%s: %s", event, stderr.String())
		if event[0] != "call.started" { // a template tells of the contact that it made, too
			doc.Result.Answer.Contacts = nil
		}
		raw, err := json.Marshal(doc.Result)
		require.NoError(s.t, err)
		out = append(out, event[0]+" "+strings.ReplaceAll(string(raw), host, "CRM"))
	}
	return out
}

// The example's CRM is served by a template, by functions in TypeScript and by a plugin
// in Go: the same calls get the same answers and screens, and leave the same in the CRM.
// A day of calls loses and doubles none while the CRM refuses requests and loses answers.
//
// rows: G24, G25, G27, G28, G30, F31
func TestThreeWaysToTheExampleCRM(t *testing.T) {
	t.Parallel()
	s := exampleSite(t)
	ways := []string{"template", "ts", "go"}
	hosts := map[string]string{}
	for _, way := range ways {
		hosts[way] = s.fakeCRM()
	}
	s.install("js")
	s.install("crm-go")
	for _, name := range []string{"plugin.yaml", "function.ts", "jackfield.d.ts"} {
		raw, err := os.ReadFile(filepath.Join("../examples/crm/crm-ts", name))
		require.NoError(t, err)
		s.unfold("crm-ts", map[string][]byte{name: raw})
	}
	s.write("tenants/acme.yaml", fmt.Sprintf(`tenant: acme
integrations:
  - {name: template, template: acme-crm, callcenter: cc-1, host: %q, fields: {key: key-of-acme}}
  - {name: ts, plugin: crm-ts, settings: {host: %q, key: key-of-acme}}
  - {name: go, plugin: crm-go, settings: {host: %q, key: key-of-acme}}
`, hosts["template"], hosts["ts"], hosts["go"]))
	for _, name := range []string{"js", "crm-ts", "crm-go"} {
		s.cli("plugin", "approve", name)
	}
	d, begin := s.start(), time.Now().Add(-time.Hour)
	s.until("the plugins serve", func() bool {
		out, err := s.try("plugin", "list", "-o", "json")
		var list struct{ Plugins []pluginDoc }
		if err != nil || json.Unmarshal([]byte(out), &list) != nil {
			return false
		}
		serving := map[string]bool{}
		for _, p := range list.Plugins {
			serving[p.Name] = serving[p.Name] || p.State == "serving"
		}
		return serving["crm-ts"] && serving["crm-go"]
	})
	answers, holds := map[string][]string{}, map[string]string{}
	for _, way := range ways {
		require.Eventually(t, func() bool {
			out, err := s.try("hook", "list", "acme/"+way)
			return err == nil && strings.Contains(out, "handleCreateTicket")
		}, patience, 20*time.Millisecond, way)
		answers[way] = s.play("acme/"+way, hosts[way], begin)
		holds[way] = s.crmHolds(hosts[way])
	}
	for _, way := range ways[1:] {
		require.Equal(t, answers["template"], answers[way], way)
		require.JSONEq(t, holds["template"], holds[way], way)
	}
	told := strings.Join(answers["template"], "\n")
	for _, want := range []string{"Ada Brandt", "Lens arrived scratched", "Tom Weber", "Unknown caller", "Bo Berg", "say it in five letters", "this is no e-mail address"} {
		require.Contains(t, told, want)
	}
	require.Equal(t, 2, strings.Count(told, `"State":"failed"`), told)
	require.Equal(t, 1, strings.Count(holds["template"], "89900100")+strings.Count(holds["template"], "89 900-100"), "a number makes one contact: %s", holds["template"])
	var held struct {
		Calls []struct{ Call, Contact string }
	}
	require.NoError(t, json.Unmarshal([]byte(holds["template"]), &held))
	of := map[string]string{}
	for _, c := range held.Calls {
		of[c.Call] = c.Contact
	}
	require.Equal(t, map[string]string{"older-1": "c-1", "older-2": "c-1", "1": "c-1", "2": "c-3", "5": "c-2", "6": "c-3"}, of,
		"a log is of the contact that the agent chose, before it was begun or after")

	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	day := exec.CommandContext(ctx, filepath.Join(s.bin, "crmday"), "-jackfield", filepath.Join(s.bin, "jackfield"), "-c", filepath.Join(s.dir, "host.yaml"),
		"-integration", "acme/template", "-calls", "9", "-slow", "5ms", "-patience", "2m")
	out, err := day.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "the CRM holds 9 logs of 9 calls, and 3 of 3 tickets and messages: 0 lost, 0 doubled, 0 wrong")
	d.stop(t)
}

// screen returns the screen of the call that the CRM's page shows now, which that page
// may embed, once the CRM was asked.
func (b *screenBrowser) screen(crm string) string {
	b.t.Helper()
	var shown struct{ ID, Screen string }
	_, _, text := b.do(http.MethodGet, crm+"/call", nil)
	require.NoError(b.t, json.Unmarshal([]byte(text), &shown))
	code, header, text := b.do(http.MethodGet, shown.Screen, nil)
	require.Equal(b.t, http.StatusOK, code, text)
	require.Contains(b.t, header.Get("Content-Security-Policy"), "frame-ancestors "+crm)
	again := regexp.MustCompile(`href="(/screen/c/[a-z0-9]+)"`).FindStringSubmatch(text)
	require.NotNil(b.t, again, text)
	jackfield, _, _ := strings.Cut(shown.Screen, "/screen/")
	require.Eventually(b.t, func() bool { // who fired the event is answered before it is stored
		_, _, text = b.do(http.MethodGet, jackfield+again[1], nil)
		return !strings.Contains(text, "Asking the CRM")
	}, patience, 20*time.Millisecond)
	return text
}

// readmeEvents returns the events that the example's README says to type.
func readmeEvents(t *testing.T) (out [][]string) {
	t.Helper()
	text, err := os.ReadFile("../examples/crm/README.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^ +bin/jackfield (hook fire \S+ acme/crm .*)$`).FindAllStringSubmatch(string(text), -1) {
		out = append(out, strings.Fields(m[1]))
	}
	require.Len(t, out, 5)
	return out
}

// The template that the README shows is one.
func TestTheTemplateOfTheReadmeIsValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```yaml\n(# templates/.*?)```").FindStringSubmatch(string(text))
	require.NotNil(t, block)
	s := &site{t: t, dir: t.TempDir()}
	s.write("host.yaml", "version: 1\n")
	s.write("templates/small-crm.yaml", block[1])
	s.write("tenants/acme.yaml", "tenant: acme\nintegrations:\n  - {name: crm, template: small-crm, callcenter: cc-1, host: crm.acme.example, fields: {key: x}}\n")
	require.Contains(t, s.cli("validate"), "3 files, 1 integration, 0 errors")
}

// The quick start starts the CRM of the example. Its page shows the screen of the call
// that comes when the printed line is typed, and it ends with the daemon, even if that is
// killed; what it holds is there the next time. The second time the history has what is
// new in the clone, and nothing else.
//
// rows: K25, G27
func TestQuickstartShowsACall(t *testing.T) {
	t.Parallel()
	s := exampleSite(t)
	s.buildGit()
	history := newClone(t)
	for _, author := range []string{"Ann", "Bob", "Ann"} {
		history.commit(author)
	}
	s.env = []string{quickstartRepo + "=" + history.dir}
	s.write("tenants/acme.yaml", `tenant: acme
screens: {origins: ["http://${env:JACKFIELD_QUICKSTART_CRM}"]}
integrations:
  - {name: history, plugin: git, every: -1, settings: {path: "${env:JACKFIELD_QUICKSTART_REPO}"}}
  - {name: crm, template: acme-crm, callcenter: cc-1, host: "${env:JACKFIELD_QUICKSTART_CRM}", fields: {key: key-of-acme}}
`)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	b := &screenBrowser{t: t, client: &http.Client{Jar: jar, Transport: transport}}
	page := func(said string) string { return regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(said) }

	d, said := s.quickstart()
	require.Contains(t, said, "acme/history: onboarding run 1 is processed after ")
	require.Contains(t, said, "records read: 5 new")
	require.Contains(t, said, "2 members, 3 activities\n")
	line := regexp.MustCompile(`bin/jackfield -c (\S+) (hook fire call\.started acme/crm .*)`).FindStringSubmatch(said)
	require.NotNil(t, line, said)
	require.Equal(t, filepath.Join(s.dir, "host.yaml"), line[1])
	var header http.Header
	var text string
	require.Eventually(t, func() bool { // it is told where Jackfield is when the line is printed
		_, header, text = b.do(http.MethodGet, page(said)+"/", nil)
		return strings.Contains(text, "/embed.js")
	}, patience, 20*time.Millisecond)
	require.Contains(t, header.Get("Content-Security-Policy"), "frame-src http://127.0.0.1:")
	_, _, text = b.do(http.MethodGet, page(said)+"/call", nil)
	require.JSONEq(t, `{}`, text, "no call yet")
	_, _, text = b.do(http.MethodGet, page(said)+"/jackfield.json", nil)
	require.Contains(t, text, "renderTooltip")

	s.cli(append(strings.Fields(line[2]), "--wait", "60s")...)
	require.Contains(t, b.screen(page(said)), "Ada Brandt")
	seen := map[string]string{} // the screen after each line that the example's README says to type
	for _, typed := range readmeEvents(t) {
		s.cli(append(typed, "--wait", "60s")...)
		seen[strings.Join(typed[2:6], " ")] = b.screen(page(said))
	}
	first := seen["call.started acme/crm --call 1"]
	for _, want := range []string{"Ada Brandt", "Brandt Optics", "Lens arrived scratched", "Ringing", "New ticket"} {
		require.Contains(t, first, want)
	}
	require.Contains(t, seen["call.connected acme/crm --call 1"], "Connected")
	require.Contains(t, seen["call.ended acme/crm --call 1"], "Ended")
	require.Contains(t, seen["call.started acme/crm --call 2"], "Who is it?")
	require.Contains(t, seen["call.started acme/crm --call 3"], "New contact")
	_, _, text = b.do(http.MethodGet, page(said)+"/", nil)
	require.Regexp(t, `<td>1</td><td>[^<]*4930123456</td><td>c-1</td><td>ann</td><td>completed</td><td>93</td><td>sold</td>`, text)
	d.kill(t)
	require.Eventually(t, func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page(said)+"/", http.NoBody)
		require.NoError(t, err)
		resp, err := b.client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err != nil
	}, patience, 20*time.Millisecond, "it ends with the daemon")

	history.commit("Cid")
	d, said = s.quickstart()
	require.Contains(t, said, "acme/history: manual run 2 is processed after ")
	require.Contains(t, said, "2 records read: 2 new\n", "a commit and who made it")
	require.Contains(t, said, "3 members, 4 activities\n")
	_, _, text = b.do(http.MethodGet, page(said)+"/", nil)
	require.Contains(t, text, "<td>93</td><td>sold</td>")
	require.Equal(t, 1, strings.Count(s.cli("token", "list"), "valid"), "the token of the first time has ended")
	d.stop(t)
}
