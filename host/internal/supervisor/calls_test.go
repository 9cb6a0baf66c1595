package supervisor

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
	told := func(method string, code uint32) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range calls {
			if c.Plugin == "zoo-ok" && c.Method == method && c.Code == code {
				return c.Took > 0
			}
		}
		return false
	}
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	require.Eventually(t, func() bool { return told("Describe", 0) && told("Open", 0) && told("Invoke", 0) }, time.Minute, time.Millisecond)
	require.False(t, told("HostLink", 14), "it goes on")
	require.NoError(t, syscall.Kill(s.status("zoo-ok").PID, syscall.SIGKILL))
	require.Eventually(t, func() bool { return told("HostLink", 14) }, time.Minute, time.Millisecond)
	s.stop()
	mu.Lock()
	defer mu.Unlock()
	for _, c := range calls {
		require.NotContains(t, c.Method, "/")
	}
}
