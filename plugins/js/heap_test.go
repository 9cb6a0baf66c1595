package main

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// A function that fills the memory is ended with a word, and one that waits beside it
// goes on. It has the memory of the test's process for itself: no parallel.
// rows: G30
func TestMemoryIsBounded(t *testing.T) { //nolint:paralleltest // see above
	f, err := made(map[string]string{"function.ts": `
		export async function getDataIframe(call: any, ctx: any) {
			const kept: any[] = [];
			for (let i = 0; ; i++) kept.push({ i, text: "n" + i });
		}
		export async function saveLogCRM(call: any, ctx: any) {
			ctx.log.info("waits");
			await ctx.cache.get("slow");
			return { fine: true };
		}`})
	require.NoError(t, err)
	runtime.GC() // what other tests have left is not counted
	f.heap = newHeapGuard(heapSize() + 32<<20)
	o := openFor(t, f, "acme", `{}`)
	slow := openFor(t, f, "umbra", `{}`)
	slow.host.logged, slow.host.gate = make(chan struct{}, 1), make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	waited := make(chan error, 1)
	go func() {
		_, err := slow.call(ctx, "saveLogCRM", `{}`)
		waited <- err
	}()
	<-slow.host.logged
	e := o.fault(ctx)
	require.Equal(t, "function_memory", e.Code, e.Message)
	require.Equal(t, sdk.ClassSystem, e.Class)
	require.Contains(t, e.Message, "function.ts:4:")
	close(slow.host.gate)
	require.NoError(t, <-waited, "who waits is not to blame")
}

// What makes a large thing in one step is refused before it is made. rows: G30
func TestLargeThingsAreRefused(t *testing.T) {
	t.Parallel()
	o := open(t, `export function getDataIframe() {
		const tries: Record<string, () => unknown> = {
			repeat: () => "x".repeat(2 ** 29), pad: () => "x".padEnd(2 ** 29), fill: () => new Array(2 ** 30).fill(1), join: () => new Array(2 ** 30).join("xx"),
			buffer: () => new ArrayBuffer(2 ** 31), bytes: () => new Uint8Array(2 ** 31), from: () => Array.from({ length: 2 ** 30 }),
		};
		const said: Record<string, string> = {};
		for (const name of Object.keys(tries)) {
			try { tries[name](); said[name] = "made"; } catch (e: any) { said[name] = e.name; }
		}
		return { said, fine: "ab".repeat(3) + "x".padStart(3) + [1, 2].fill(0).join("") + new Uint8Array([1, 2]).length + Array.from("ab").concat("c").length + (new Uint8Array(2) instanceof Uint8Array) };
	}`)
	got := o.lookup(`{}`)
	for name, said := range got["said"].(map[string]any) { //nolint:forcetypeassert // as it is written above
		require.Equal(t, "RangeError", said, name)
	}
	require.Equal(t, "ababab  x0023true", got["fine"])
}
