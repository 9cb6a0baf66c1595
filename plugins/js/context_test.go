package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rows: C48
func TestCacheOfAFunction(t *testing.T) {
	t.Parallel()
	o := open(t, `export async function getDataIframe(call: any, ctx: any) {
		const before = await ctx.cache.get("a");
		await ctx.cache.put("a", { n: 1 }, { ttl: 90 });
		await ctx.cache.put("none", null, { scope: "tenant" });
		return { before: before === undefined, a: await ctx.cache.get("a"), none: await ctx.cache.get("none", { scope: "tenant" }), other: (await ctx.cache.get("none")) === undefined };
	}`)
	require.Equal(t, map[string]any{"before": true, "a": map[string]any{"n": 1.0}, "none": nil, "other": true}, o.lookup(`{}`))
	require.JSONEq(t, `{"n":1}`, string(o.host.cache["integration/a"]))
	require.Equal(t, "null", string(o.host.cache["tenant/none"]))
	require.Zero(t, o.host.ttl, "the last one had none")
	again := open(t, `export async function getDataIframe(call: any, ctx: any) { await ctx.cache.put("a", 1, { ttl: 90 }); return {}; }`)
	again.lookup(`{}`)
	require.Equal(t, 90*time.Second, again.host.ttl)
}

// rows: G30
func TestLogOfAFunction(t *testing.T) {
	t.Parallel()
	o := open(t, `export function getDataIframe(call: any, ctx: any) {
		console.log("a", 1, { b: [2] });
		ctx.log.warn("careful");
		console.error(new TypeError("bad"));
		for (let i = 0; i < 10_000; i++) console.debug(i);
		return {};
	}`)
	o.lookup(`{}`)
	require.Equal(t, `info a 1 {"b":[2]} [function getDataIframe]`, o.host.lines[0])
	require.Equal(t, "warn careful [function getDataIframe]", o.host.lines[1])
	require.Contains(t, o.host.lines[2], "error TypeError: bad\n\tat getDataIframe (function.ts:4:")
	require.Len(t, o.host.lines, maxLines)
	require.Contains(t, o.host.lines[maxLines-1], "the rest is left out")
}

// rows: G30
func TestTextsOfBytes(t *testing.T) {
	t.Parallel()
	o := open(t, `export function getDataIframe() {
		let refused = "";
		try { btoa("€"); } catch (e: any) { refused = e.name; }
		return { to: btoa("user:pässword"), from: atob("dXNlcg=="), refused };
	}`)
	require.Equal(t, map[string]any{"to": "dXNlcjpw5HNzd29yZA==", "from": "user", "refused": "TypeError"}, o.lookup(`{}`))
}

// A function that waits keeps what it began no longer than it lives. rows: G30
func TestNothingOutlivesACall(t *testing.T) {
	t.Parallel()
	o := open(t, `export async function getDataIframe(call: any, ctx: any) {
		const late = setTimeout(() => ctx.log.info("too late"), 3600_000);
		const taken = setTimeout(() => ctx.log.info("taken back"), 1);
		clearTimeout(taken);
		await new Promise((done) => setTimeout(done, 5));
		return {};
	}`)
	o.lookup(`{}`)
	require.Empty(t, o.host.lines)
}
