package api

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// rows: C33
//
// A run that makes no progress degrades the status, which names it, what it waits for
// and what to do; on its own page it says since when.
func TestAStuckRunIsSeen(t *testing.T) {
	t.Parallel()
	r := serve(t)
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.store.edit(func(f *fakeStore) {
		f.integrations = []store.Integration{acme(1, "history")}
		moves, ended := history(1, store.RunProcessing), history(3, store.RunCancelled)
		hangs := history(2, store.RunProcessing)
		hangs.StuckSince, ended.StuckSince = since, since
		hangs.PlannedAt, hangs.Streams = since, store.StreamCounts{Processing: 1, Pending: 4}
		f.runs = []store.Run{moves, hangs, ended}
	})
	got, err := hostv1.NewStatusServiceClient(r.dial()).GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
	require.NoError(t, err)
	require.Equal(t, "degraded", got.GetState())
	require.Equal(t, []string{
		"run 2 of acme/history: it makes no progress since 2026-01-02T03:04:05Z and is worked on anew; 1 streams are worked on, 4 are queued, 0 wait" +
			" (hint: jackfield run show 2; if it does not go on: jackfield plugin restart git)",
	}, got.GetReasons())
	for id, want := range map[string]bool{"1": false, "2": true, "3": false} {
		resp, err := r.runs().GetRun(r.ctx(), &hostv1.GetRunRequest{Id: id})
		require.NoError(t, err)
		if want {
			require.Equal(t, since, resp.GetRun().GetStuckSince().AsTime())
			require.Contains(t, resp.GetWhy(), "no progress")
		} else {
			require.NotContains(t, resp.GetWhy(), "no progress")
		}
	}
}

// A restart answers with the new process, and says what to do where there is none.
func TestRestartPlugin(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.plugins.list = []Plugin{{Name: "git", File: "plugins/git", Verdict: "approved", State: "serving", PID: 7}, {Name: "new", File: "plugins/new", Verdict: "unapproved"}}
	plugins := hostv1.NewPluginServiceClient(r.dial())
	resp, err := plugins.RestartPlugin(r.ctx(), &hostv1.RestartPluginRequest{Name: "git"})
	require.NoError(t, err)
	require.Equal(t, []string{"git"}, r.plugins.restarted)
	require.Equal(t, uint32(7), resp.GetPlugin().GetPid())
	for name, c := range map[string]struct {
		err  error
		code codes.Code
		hint string
	}{
		"nothing": {nil, codes.NotFound, "jackfield plugin list"},
		"new":     {fmt.Errorf("plugin new: %w", store.ErrNotFound), codes.FailedPrecondition, "jackfield plugin approve plugins/new"},
		"git":     {errors.New("start plugin git: exited with code 3"), codes.FailedPrecondition, "jackfield plugin logs git"},
	} {
		r.plugins.failing = c.err
		_, err := plugins.RestartPlugin(r.ctx(), &hostv1.RestartPluginRequest{Name: name})
		require.Equal(t, c.code, status.Code(err), name)
		require.Equal(t, c.hint, info(t, err).GetHint(), name)
	}
}
