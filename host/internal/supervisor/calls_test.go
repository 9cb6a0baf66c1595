//go:build linux

package supervisor

import (
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

// What is called is told, however it ends, and nothing of what go-plugin says to
// itself.
func TestCallsAreTold(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex // guards calls
		calls []Call
	)
	s := setup(t, func(o *Options) {
		o.OnCall = func(c Call) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, c)
		}
	})
	told := func(method string, ends ...codes.Code) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range calls {
			if c.Plugin == "zoo-ok" && c.Method == method && slices.Contains(ends, codes.Code(c.Code)) {
				return c.Took > 0
			}
		}
		return false
	}
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	require.Eventually(t, func() bool { return told("Describe", codes.OK) && told("Open", codes.OK) && told("Invoke", codes.OK) }, time.Minute, time.Millisecond)
	// Of a process that dies, the connection tells first or the supervisor, which
	// closes it.
	lost := []codes.Code{codes.Unavailable, codes.Canceled}
	require.False(t, told("HostLink", lost...), "it goes on")
	require.NoError(t, syscall.Kill(s.status("zoo-ok").PID, syscall.SIGKILL))
	require.Eventually(t, func() bool { return told("HostLink", lost...) }, time.Minute, time.Millisecond)
	s.stop()
	mu.Lock()
	defer mu.Unlock()
	for _, c := range calls {
		require.NotContains(t, c.Method, "/")
	}
}
