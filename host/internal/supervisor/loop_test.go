//go:build linux

package supervisor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk/plugin"
)

// rows: F04, F02
//
// A plugin that crashes in a loop is started again each time, ever later; another
// one does not notice.
func TestACrashLoopIsNobodyElsesTrouble(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) {
		o.MinRestartDelay = 10 * time.Millisecond
		o.MaxRestartDelay = 200 * time.Millisecond
	})
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok"), animal(t, "loop")}))
	quiet := s.status("zoo-ok").PID
	for n := range 6 {
		_, err := s.invoke(t.Context(), "zoo-loop", "die", "")
		require.ErrorIs(t, err, plugin.ErrLost)
		require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
		require.Eventually(t, func() bool {
			st := s.status("zoo-loop")
			return st.State == StateServing && st.Restarts == n+1
		}, time.Minute, 5*time.Millisecond)
	}
	st := s.status("zoo-ok")
	require.Equal(t, quiet, st.PID)
	require.Zero(t, st.Restarts)
	require.Empty(t, st.LastError)
}
