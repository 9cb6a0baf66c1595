//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/sdk"
)

// builtJS is the plugin js, built when the first test needs it.
var builtJS struct {
	once sync.Once
	err  error
}

// buildJS returns where the programs are, with js among them.
func buildJS(t *testing.T) string {
	t.Helper()
	bin, err := builds()
	require.NoError(t, err)
	builtJS.once.Do(func() {
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(bin, "js"), "../plugins/js")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			builtJS.err = fmt.Errorf("build plugins/js: %w\n%s", err, out)
		}
	})
	require.NoError(t, builtJS.err)
	return bin
}

// functionSite is a site that runs folders of functions, with an integration acme/crm
// of the folder acme-crm, and the remote system that it calls.
func functionSite(t *testing.T, trust string) *site {
	t.Helper()
	bin := buildJS(t)
	c := newCRM(t)
	s := &site{t: t, dir: t.TempDir(), bin: bin}
	s.write("host.yaml", fmt.Sprintf("version: 1\nlisten: off\nplugins: {dir: ./plugins, trust: %s}\negress: {allow: [%q]}\n", trust, c.host()))
	s.write("templates/acme.yaml", crmTemplate)
	s.write("tenants/acme.yaml", fmt.Sprintf("tenant: acme\nintegrations:\n  - {name: crm, plugin: acme-crm, settings: {host: %q, user: ann, password: password-of-acme}}\n", c.host()))
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "plugins"), 0o750))
	s.install("js")
	return s
}

// functionFolder is the folder acme-crm: getDataIframe answers its word.
func functionFolder(word string) map[string][]byte {
	return map[string][]byte{
		"plugin.yaml": []byte(`schema: 1
name: acme-crm
version: 1.0.0
runtime: js
manifest:
  label: Acme CRM
  template: acme-crm
  settings:
    host: {type: string, x-host: true, required: true}
    user: {type: string, required: true}
    password: {type: string, secret: true, required: true}
`),
		"function.ts": []byte(`import { word } from "./word";
export async function getDataIframe(call: any) { return { id: word, url: call.event.number }; }
export async function check(ctx: any) {
	const found = await ctx.endpoint("find", { number: "0912345678" });
	const known = await ctx.cache.get("seen");
	await ctx.cache.put("seen", found.items[0].name);
	let refused = "";
	try { await ctx.endpoint("add", { name: "Ann" }); } catch (e: any) { refused = e.outcome + ": " + e.fields.name; }
	let plain = "";
	try { plain = String((await ctx.fetch("http://" + ctx.fields.host + "/nowhere")).status); } catch (e: any) { plain = e.code; }
	let away = "";
	try { await ctx.fetch("https://elsewhere.example/"); } catch (e: any) { away = e.code; }
	throw Object.assign(new Error([found.items[0].id, known, refused, plain, away].join(" ")), { class: "remote", code: "told" });
}
`),
		"word.ts": fmt.Appendf(nil, "export const word: string = %q;\n", word),
	}
}

// ask calls getDataIframe over the wire.
func ask(ctx context.Context, h *Host) (string, error) {
	settings := sdk.NewSettings([]byte(`{"host": "crm.example", "user": "ann", "password": "x"}`))
	p, err := h.processes.Acquire(ctx, "acme-crm", sdk.Integration{Tenant: "acme", Name: "crm", ID: "i1", Revision: 1, Settings: settings})
	if err != nil {
		return "", err
	}
	defer p.Release(false)
	hook, ok := p.Instance.(sdk.Invoker)
	if !ok {
		return "", errors.New("it answers no hooks")
	}
	res, err := hook.Invoke(ctx, sdk.HookCall{Name: sdk.HookGetDataIframe, Payload: []byte(`{"event": {"number": "+49"}}`)})
	if err != nil {
		return "", err
	}
	var answer sdk.CallAnswer
	if err := json.Unmarshal(res.Payload, &answer); err != nil || answer.URL != "+49" {
		return "", errors.Join(errors.New("another answer"), err)
	}
	return answer.ID, nil
}

// A folder of functions is a plugin: approved it serves, in a process of its own, and
// reaches what the host lets it reach. A change waits for an approval while what was
// approved serves; one that does not compile is refused with its place.
//
// rows: G30
func TestAFolderOfFunctionsServes(t *testing.T) {
	t.Parallel()
	s := functionSite(t, "lock")
	s.cli("plugin", "approve", "js")
	s.unfold("crm-folder", functionFolder("one"))
	s.cli("plugin", "approve", "crm-folder")
	h, stop := s.host(runner.Options{})
	says := func(word string) func() bool {
		return func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got, err := ask(ctx, h)
			return err == nil && got == word
		}
	}
	s.until("it answers", says("one"))
	s.until("its integration is active", func() bool { return s.shown("acme/crm").State == "active" })
	for _, known := range []string{"", "Ann"} { // of the cache: the second call finds what the first one kept
		var out bytes.Buffer
		require.Error(t, Run(t.Context(), []string{"-c", filepath.Join(s.dir, "host.yaml"), "integration", "check", "acme/crm", "-o", "json"}, &out, io.Discard))
		require.Contains(t, out.String(), "function.ts:13:", "the place in the source")
		require.Contains(t, out.String(), "7 "+known+" failed: is taken 401 egress_host", "the endpoint, the cache, the way out, and no other host")
	}

	s.unfold("crm-folder", map[string][]byte{"word.ts": []byte("export const word: string = ;\n")})
	_, err := s.try("plugin", "approve", "crm-folder")
	require.ErrorContains(t, err, `word.ts:1:29: Unexpected ";"`)
	require.True(t, says("one")(), "what was approved serves")
	s.unfold("crm-folder", functionFolder("two"))
	s.until("the change is seen, and waits", func() bool {
		return slices.ContainsFunc(s.plugins(), func(p pluginDoc) bool { return p.Name == "acme-crm" && p.Verdict == "kept" })
	})
	require.True(t, says("one")())
	s.cli("plugin", "approve", "crm-folder")
	s.until("the change serves", says("two"))
	stop()
}

// asking is who makes calls of acme-crm's getDataIframe, one after the other until their end.
type asking struct {
	heard  chan string // the newest answer
	lost   chan error  // the first that was not answered; nothing is called after it
	enough context.CancelFunc
	ended  sync.WaitGroup
}

// askAlways begins calls once the first one answers a word.
func askAlways(t *testing.T, s *site, h *Host, word string) *asking {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	t.Cleanup(cancel)
	s.until("it answers", func() bool {
		got, err := ask(ctx, h)
		return err == nil && got == word
	})
	c := &asking{heard: make(chan string, 1), lost: make(chan error, 1)}
	calling, enough := context.WithCancel(ctx)
	c.enough = enough
	c.ended.Go(func() {
		for calling.Err() == nil {
			word, err := ask(ctx, h)
			if err != nil {
				c.lost <- err
				return
			}
			select {
			case <-c.heard:
			default:
			}
			c.heard <- word
		}
	})
	return c
}

// save writes a word into the function's file and returns how long it took until a call
// is answered by it.
func (c *asking) save(t *testing.T, s *site, word string) time.Duration {
	t.Helper()
	s.write("plugins/crm-folder/word.ts", fmt.Sprintf("export const word: string = %q;\n", word))
	saved := time.Now()
	s.until(word+" is live", func() bool {
		select {
		case err := <-c.lost:
			require.NoError(t, err, "a call is lost")
		case got := <-c.heard:
			return got == word
		default:
		}
		return false
	})
	return time.Since(saved)
}

// end ends the calls and returns the last answer; it fails if a call was not answered.
func (c *asking) end(t *testing.T) string {
	t.Helper()
	c.enough()
	c.ended.Wait()
	select {
	case err := <-c.lost:
		require.NoError(t, err, "a call is lost")
	default:
	}
	return <-c.heard
}

// Under trust: dir, which serve --dev allows, a save is live without an approval, and
// no call is lost by it. What does not compile is told, and what was there serves.
//
// rows: G30, H22
func TestASaveIsLiveAndLosesNoCall(t *testing.T) {
	t.Parallel()
	s := functionSite(t, "dir")
	s.unfold("crm-folder", functionFolder("word 0"))
	h, stop := s.host(runner.Options{})
	calls := askAlways(t, s, h, "word 0")
	for n := 1; n <= 3; n++ {
		calls.save(t, s, fmt.Sprintf("word %d", n))
	}
	s.write("plugins/crm-folder/word.ts", "export const word: string = ;\n")
	s.until("the fault is told with its place", func() bool {
		return strings.Contains(s.cli("plugin", "list", "-o", "json"), "word.ts:1:29: Unexpected")
	})
	require.Equal(t, "word 3", calls.end(t))
	stop()
}

// What plugin new writes in TypeScript is a plugin that compiles, with the types that
// the plugin js ships.
//
// rows: G30, C58
func TestANewFunctionWorks(t *testing.T) {
	t.Parallel()
	types, err := os.ReadFile("../plugins/js/jackfield.d.ts")
	require.NoError(t, err)
	s := functionSite(t, "lock")
	s.cli("plugin", "new", "bell", "--kind", "function", "--into", filepath.Join(s.dir, "plugins"))
	made := filepath.Join(s.dir, "plugins", "bell")
	copied, err := os.ReadFile(filepath.Join(made, "jackfield.d.ts"))
	require.NoError(t, err)
	require.Equal(t, string(types), string(copied), "host/scaffold/function has a copy")
	example, err := os.ReadFile("../examples/crm/crm-ts/jackfield.d.ts")
	require.NoError(t, err)
	require.Equal(t, string(types), string(example), "examples/crm/crm-ts has a copy")
	s.cli("plugin", "approve", "js")
	s.cli("plugin", "approve", "bell")
	raw := s.cli("schema", "plugin", "bell")
	require.Contains(t, raw, "api_url")
	require.Contains(t, raw, "x-secret")
}
