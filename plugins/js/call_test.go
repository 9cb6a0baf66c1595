package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: G30
func TestAFunctionAnswers(t *testing.T) {
	t.Parallel()
	f, err := made(map[string]string{
		"function.ts": `import { shout } from "./lib/words";
			import greeting from "./greeting.json";
			import type { Anything } from "./jackfield";
			interface Call { number: string }
			export async function getDataIframe(call: Call, ctx: Anything) {
				const later = await new Promise<string>((done) => setTimeout(() => done(greeting.text), 1));
				return { contacts: [{ id: call.number ?? "none", name: shout(later), tenant: ctx.tenant, key: ctx.fields.api_key }] };
			}
			export function saveLogCRM(call: Call) { return { id: "log-" + call.number }; }
			export const version = 1;`,
		"lib/words.ts":  `export const shout = (text: string): string => text.toUpperCase() + "!";`,
		"greeting.json": `{"text": "hello"}`,
	})
	require.NoError(t, err)
	require.Equal(t, []string{"getDataIframe", "saveLogCRM"}, f.Manifest().Hooks)
	require.NoError(t, f.Manifest().Validate())
	o := openFor(t, f, "acme", `{"api_key": "k"}`)
	require.Equal(t, map[string]any{"contacts": []any{map[string]any{"id": "+49", "name": "HELLO!", "tenant": "acme", "key": "k"}}}, o.lookup(`{"number": "+49"}`))
	out, err := o.call(t.Context(), "saveLogCRM", `{"number": 7}`)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"id": "log-7"}, out)
	_, err = o.call(t.Context(), "createSMSNote", `{}`)
	require.Equal(t, "no_such_function", sdk.AsError(err).Code)
}

// rows: G30
func TestErrorsNameTheirPlaceInTheSource(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ code, at string }{
		"Thrown": {"export function getDataIframe() {\n  const a: any = undefined;\n  return a.name;\n}", "function.ts:3:12: TypeError: Cannot read property 'name' of undefined"},
		"AfterAnAwait": {
			"interface X { a: string }\n\nexport async function getDataIframe(call: X, ctx: any) {\n  await ctx.cache.get('a');\n  throw new Error('no luck');\n}",
			"function.ts:5:9: Error: no luck",
		},
		"OfWhatTheHostAnswers": {"export async function getDataIframe(call: any, ctx: any) {\n  const r = await ctx.fetch('ftp://x');\n  return r;\n}", "function.ts:2:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := open(t, c.code).fault(t.Context())
			require.Contains(t, e.Message, c.at)
			require.Contains(t, c.at, e.Details["at"][:len("function.ts:2:")])
			require.True(t, e.Safe, "it changed nothing")
		})
	}
}

// rows: G30
func TestWhatCannotBeCompiledNamesItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		says  string
	}{
		"Syntax":       {map[string]string{"function.ts": "export function getDataIframe( {\n  return 1 +;\n}"}, "function.ts:2:10: Expected \"}\" but found \"1\""},
		"OtherFile":    {map[string]string{"function.ts": "import './a';\nexport function saveLogCRM() {}", "a.ts": "const x: = 3"}, "a.ts:1:10: Unexpected \"=\""},
		"Package":      {map[string]string{"function.ts": "import fs from 'node:fs';\nexport const getDataIframe = () => fs;"}, `function.ts:1:16: "node:fs" cannot be imported`},
		"Outside":      {map[string]string{"function.ts": "import x from '../../etc/passwd';\nexport const getDataIframe = () => x;"}, `function.ts:1:15: "../../etc/passwd" is outside of the folder`},
		"NoFunction":   {map[string]string{"function.ts": "export const a = 1"}, "function.ts exports none of the functions"},
		"NoFile":       {map[string]string{"other.ts": ""}, "neither function.ts nor function.js"},
		"FirstLevel":   {map[string]string{"function.js": "export function getDataIframe() {}\nnull.x;"}, "function.js:2:6: TypeError"},
		"EndlessLevel": {map[string]string{"function.js": "export function getDataIframe() {}\nwhile (true) {}"}, "it does not end"},
		"Schema":       {map[string]string{"function.ts": "export function getDataIframe() {}", "plugin.yaml": describes + "manifest:\n  label: x\n"}, "label"},
		"UnknownKey":   {map[string]string{"function.ts": "export function getDataIframe() {}", "plugin.yaml": describes + "manifest:\n  lable: x\n"}, "lable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := made(c.files)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// rows: G30
func TestADeadlineEndsAnEndlessLoop(t *testing.T) {
	t.Parallel()
	o := open(t, `
		export function getDataIframe(call: any, ctx: any) {
			ctx.log.info("at work");
			try { if (call.loop) for (;;) {} } catch { return { caught: true }; }
			return { fine: true };
		}
		export async function saveLogCRM() { await new Promise(() => {}); }
		export async function createSMSNote(call: any, ctx: any) {
			ctx.log.info("at work");
			await new Promise((done) => setTimeout(done, 3600_000));
		}
		export async function handleCreateTicket(call: any, ctx: any) {
			ctx.log.info("at work");
			for (;;) await 1;
		}
		export function handleCreateContact() { return handleCreateContact(); }`)
	o.host.logged = make(chan struct{}, 1)
	ended := func(name, payload string) *sdk.Error {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		go func() {
			<-o.host.logged // it is at work
			cancel(context.DeadlineExceeded)
		}()
		_, err := o.call(ctx, name, payload)
		return sdk.AsError(err)
	}
	e := ended("getDataIframe", `{"loop": true}`)
	require.Equal(t, codeTimeout, e.Code)
	require.Equal(t, sdk.ClassTransient, e.Class)
	require.Contains(t, e.Message, "function.ts:4:")
	require.Equal(t, codeTimeout, ended("createSMSNote", `{}`).Code)
	require.Equal(t, codeTimeout, ended("handleCreateTicket", `{}`).Code)
	require.Equal(t, map[string]any{"fine": true}, o.lookup(`{}`), "another call is not disturbed")
	_, err := o.call(t.Context(), "saveLogCRM", `{}`)
	require.Equal(t, codeNever, sdk.AsError(err).Code, "it is known at once that nothing can come")
	_, err = o.call(t.Context(), "handleCreateContact", `{}`)
	require.Equal(t, codeStack, sdk.AsError(err).Code)
}

// What one call leaves behind, no other one sees: not of the same tenant, and not of
// another one. rows: G30
func TestCallsShareNothing(t *testing.T) {
	t.Parallel()
	f, err := made(map[string]string{"function.ts": `
		let seen: string[] = [];
		const module = { fields: null as any };
		export function getDataIframe(call: any, ctx: any) {
			const before = { seen: [...seen], fields: module.fields, proto: ({} as any).leaked, global: (globalThis as any).leaked, text: ("" as any).leaked };
			seen.push(ctx.tenant);
			module.fields = ctx.fields;
			(Object.prototype as any).leaked = ctx.tenant;
			(String.prototype as any).leaked = ctx.tenant;
			(globalThis as any).leaked = ctx.tenant;
			return { before: JSON.stringify(before), key: ctx.fields.api_key };
		}`})
	require.NoError(t, err)
	first, second := openFor(t, f, "acme", `{"api_key": "of acme"}`), openFor(t, f, "umbra", `{"api_key": "of umbra"}`)
	for range 3 {
		require.Equal(t, map[string]any{"before": `{"seen":[],"fields":null}`, "key": "of acme"}, first.lookup(`{}`))
		require.Equal(t, map[string]any{"before": `{"seen":[],"fields":null}`, "key": "of umbra"}, second.lookup(`{}`))
	}
}

// rows: G30
func TestCallsRunBesideEachOther(t *testing.T) {
	t.Parallel()
	o := open(t, `export async function getDataIframe(call: any, ctx: any) {
		await ctx.cache.put("n" + call.n, call.n);
		return { n: await ctx.cache.get("n" + call.n) };
	}`)
	const calls = 32
	answers := make(chan error, calls)
	for n := range calls {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := o.call(ctx, "getDataIframe", `{"n": `+string(rune('0'+n%10))+`}`)
			if err == nil && out["n"] != float64(n%10) {
				err = &sdk.Error{Message: "another call's answer"}
			}
			answers <- err
		}()
	}
	for range calls {
		require.NoError(t, <-answers)
	}
}
