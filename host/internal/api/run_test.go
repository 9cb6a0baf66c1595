package api

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

func (r *rig) runs() hostv1.RunServiceClient { return hostv1.NewRunServiceClient(r.dial()) }

func history(id int64, state store.RunState) store.Run {
	return store.Run{ID: id, IntegrationID: 1, Tenant: "acme", Integration: "history", Plugin: "git", Kind: store.RunManual, State: state}
}

// rows: O47
func TestRunsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) {
		f.integrations = []store.Integration{acme(1, "history")}
		f.runs = []store.Run{history(1, store.RunProcessed), history(2, store.RunError), history(3, store.RunProcessed)}
	})
	resp, err := r.runs().ListRuns(r.ctx(), &hostv1.ListRunsRequest{PageSize: 2})
	require.NoError(t, err)
	require.Equal(t, "3", resp.GetRuns()[0].GetId())
	require.Equal(t, "2", resp.GetNext())
	resp, err = r.runs().ListRuns(r.ctx(), &hostv1.ListRunsRequest{PageSize: 2, PageToken: resp.GetNext(), Integration: "acme/history"})
	require.NoError(t, err)
	require.Len(t, resp.GetRuns(), 1)
	require.Empty(t, resp.GetNext())
	resp, err = r.runs().ListRuns(r.ctx(), &hostv1.ListRunsRequest{State: "error"})
	require.NoError(t, err)
	require.Len(t, resp.GetRuns(), 1)
	_, err = r.runs().ListRuns(r.ctx(), &hostv1.ListRunsRequest{State: "failed"})
	require.ErrorContains(t, err, `no state "failed"`)
	require.Contains(t, info(t, err).GetHint(), "partial")
}

// rows: O25, C28
func TestRunTellsWhatItDid(t *testing.T) {
	t.Parallel()
	r := serve(t)
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.store.edit(func(f *fakeStore) {
		run := history(1, store.RunPartial)
		run.StartedAt, run.EndedAt = begin, begin.Add(1500*time.Millisecond)
		run.Stats = store.RunStats{Read: 15, Added: 5, Updated: 4, Deleted: 3, Unchanged: 2, Stale: 1, Warnings: 6}
		run.Streams = store.StreamCounts{Processed: 2, Error: 1}
		f.runs = []store.Run{run}
		f.streams = []store.Stream{
			{ID: 1, RunID: 1, Type: store.StreamRoot, State: store.StreamProcessed},
			{ID: 2, RunID: 1, Type: store.StreamRoot, State: store.StreamError, Connector: "members", Failure: &store.Failure{Message: "boom"}},
		}
		f.warnings = []store.Warning{{RecordID: "r1", Message: "skipped"}}
	})
	resp, err := r.runs().GetRun(r.ctx(), &hostv1.GetRunRequest{Id: "1"})
	require.NoError(t, err)
	s := resp.GetRun().GetStats()
	require.Equal(t, s.GetRead(), s.GetAdded()+s.GetUpdated()+s.GetDeleted()+s.GetUnchanged()+s.GetStale())
	require.Equal(t, int64(1500), resp.GetRun().GetDurationMs())
	require.Equal(t, int64(3), resp.GetRun().GetStreams().GetTotal())
	require.Equal(t, "1 of 3 streams failed: boom", resp.GetWhy())
	require.Len(t, resp.GetTroubled(), 1)
	require.Equal(t, "members", resp.GetTroubled()[0].GetConnector())
	require.Equal(t, "skipped", resp.GetWarnings()[0].GetMessage())
}

func TestWhy(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	active, parked := acme(1, "history"), acme(1, "history")
	parked.State, parked.Reason = store.IntegrationParked, "plugin is gone"
	delayed := store.Stream{ID: 1, RunID: 9, Type: store.StreamRoot, State: store.StreamDelayed, DueAt: at, Failure: &store.Failure{Message: "429"}}
	for name, c := range map[string]struct {
		run    func(*store.Run)
		in     store.Integration
		others []store.Run
		stream *store.Stream
		want   string
	}{
		"Turn":      {func(r *store.Run) { r.State = store.RunPending }, active, nil, nil, "waits for its turn"},
		"Other":     {func(r *store.Run) { r.State = store.RunPending }, active, []store.Run{history(8, store.RunProcessing)}, nil, "waits for run 8 of the same integration"},
		"Parked":    {func(r *store.Run) { r.State = store.RunPending }, parked, nil, nil, "waits: the integration is parked: plugin is gone"},
		"Planning":  {func(*store.Run) {}, active, nil, nil, "the plugin is asked which streams there are"},
		"Working":   {func(r *store.Run) { r.Streams = store.StreamCounts{Processing: 2, Pending: 3, Delayed: 1} }, active, nil, nil, "2 streams are worked on, 3 are queued, 1 wait"},
		"RateLimit": {func(r *store.Run) { r.Streams = store.StreamCounts{Delayed: 1} }, active, nil, &delayed, "waits for streams until 2026-01-02T03:04:05Z: 429"},
		"Delayed":   {func(r *store.Run) { r.State, r.DelayedUntil = store.RunDelayed, at }, active, nil, nil, "waits until 2026-01-02T03:04:05Z"},
		"Limited": {func(r *store.Run) {
			r.State, r.DelayedUntil, r.DelayReason = store.RunDelayed, at, "the limit of 9 records in 1h is reached"
		}, active, nil, &delayed, "waits until 2026-01-02T03:04:05Z: the limit of 9 records in 1h is reached"},
		"Open": {func(r *store.Run) {
			r.IntegrationID, r.Streams = 77, store.StreamCounts{Delayed: 1}
		}, active, nil, &delayed, "waits: circuit of api.example.com is open since 2026-01-02T03:04:05Z, next probe at 2026-01-02T03:05:05Z: down"},
		"Spent": {func(r *store.Run) {
			r.State, r.Failure = store.RunPartial, &store.Failure{Point: "limit", Message: "9 records a run"}
		}, active, nil, nil, "the run ended early: 9 records a run"},
		"Paused": {func(r *store.Run) { r.State = store.RunDelayed }, active, []store.Run{history(8, store.RunProcessing)}, nil, "waits for run 8 of the same integration, which goes first"},
		"Done":   {func(r *store.Run) { r.State, r.Streams = store.RunProcessed, store.StreamCounts{Processed: 4} }, active, nil, nil, "every stream is processed (4)"},
		"Stuck": {
			func(r *store.Run) { r.StuckSince, r.Streams = at, store.StreamCounts{Pending: 3} }, active, nil, nil,
			"it makes no progress since 2026-01-02T03:04:05Z and is worked on anew; 0 streams are worked on, 3 are queued, 0 wait",
		},
		"Failed":    {func(r *store.Run) { r.State, r.Failure = store.RunError, &store.Failure{Message: "no plan"} }, active, nil, nil, "the run failed: no plan"},
		"Cancelled": {func(r *store.Run) { r.State, r.Failure = store.RunCancelled, &store.Failure{Message: "by a person"} }, active, nil, nil, "by a person"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t)
			r.store.edit(func(f *fakeStore) {
				run := history(9, store.RunProcessing)
				c.run(&run)
				f.integrations = []store.Integration{c.in}
				f.circuits = map[int64][]store.Circuit{77: {{Host: "api.example.com", OpenedAt: at, Until: at.Add(time.Minute), Message: "down"}}}
				f.runs = append(f.runs, c.others...)
				f.runs = append(f.runs, run)
				if c.stream != nil {
					f.streams = []store.Stream{*c.stream}
				}
			})
			resp, err := r.runs().GetRun(r.ctx(), &hostv1.GetRunRequest{Id: "9"})
			require.NoError(t, err)
			require.Equal(t, c.want, resp.GetWhy())
		})
	}
}

func TestWatchEndsWithTheRun(t *testing.T) {
	t.Parallel()
	r := serve(t, func(o *Options) { o.Poll = time.Hour }) // the hints alone wake it
	r.store.edit(func(f *fakeStore) { f.runs = []store.Run{history(1, store.RunPending)} })
	stream, err := r.runs().WatchRun(r.ctx(), &hostv1.WatchRunRequest{Id: "1"})
	require.NoError(t, err)
	for _, state := range []store.RunState{store.RunPending, store.RunProcessing, store.RunProcessed} {
		r.store.edit(func(f *fakeStore) { f.runs[0].State = state })
		for { // a change may be seen before it is asked for
			resp, err := stream.Recv()
			require.NoError(t, err)
			if resp.GetRun().GetState() == string(state) {
				break
			}
		}
	}
	_, err = stream.Recv()
	require.ErrorIs(t, err, io.EOF)
}

func TestWatchPollsWithoutHints(t *testing.T) {
	t.Parallel()
	r := serve(t, func(o *Options) { o.Poll, o.Changed = time.Millisecond, nil })
	r.store.edit(func(f *fakeStore) { f.runs = []store.Run{history(1, store.RunPending)} })
	stream, err := r.runs().WatchRun(r.ctx(), &hostv1.WatchRunRequest{Id: "1"})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	r.store.edit(func(f *fakeStore) { f.runs[0].State = store.RunError })
	resp, err := stream.Recv()
	require.NoError(t, err)
	require.Equal(t, "error", resp.GetRun().GetState())
}

func TestWatchersAreBounded(t *testing.T) {
	t.Parallel()
	r := serve(t, func(o *Options) { o.MaxStreams = 1 })
	r.store.edit(func(f *fakeStore) { f.runs = []store.Run{history(1, store.RunPending)} })
	first, cancel := context.WithCancel(r.ctx())
	stream, err := r.runs().WatchRun(first, &hostv1.WatchRunRequest{Id: "1"})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	second := func() error {
		stream, err := r.runs().WatchRun(r.ctx(), &hostv1.WatchRunRequest{Id: "2"})
		require.NoError(t, err)
		_, err = stream.Recv()
		return err
	}
	err = second()
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "api.max_streams")
	cancel()
	require.Eventually(t, func() bool { return status.Code(second()) == codes.NotFound }, time.Minute, time.Millisecond, "the place is free again")
}

func TestStopEndsWatchers(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.runs = []store.Run{history(1, store.RunPending)} })
	stream, err := r.runs().WatchRun(r.ctx(), &hostv1.WatchRunRequest{Id: "1"})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	begin := time.Now()
	require.NoError(t, r.stop())
	require.Less(t, time.Since(begin), 4*time.Second, "nobody waits for the grace to end")
	for err == nil {
		_, err = stream.Recv()
	}
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Contains(t, info(t, err).GetHint(), "jackfield serve")
}

func TestStopDoesNotWaitForHangingCalls(t *testing.T) {
	t.Parallel()
	r := serve(t, func(o *Options) { o.Grace = 20 * time.Millisecond })
	r.store.edit(func(f *fakeStore) { f.integrations = []store.Integration{acme(1, "history")} })
	called := make(chan struct{})
	r.engine.check = func(ctx context.Context, _ []byte) error { close(called); <-ctx.Done(); return ctx.Err() }
	answered := make(chan error, 1)
	ctx, api := r.ctx(), r.integrations()
	go func() {
		_, err := api.CheckIntegration(ctx, &hostv1.CheckIntegrationRequest{Integration: "acme/history"})
		answered <- err
	}()
	<-called
	require.NoError(t, r.stop())
	require.Error(t, <-answered)
}

// rows: C37
func TestContinueAndCancel(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.runs = []store.Run{history(1, store.RunPartial), history(2, store.RunProcessed)} })
	api := r.runs()
	resp, err := api.ContinueRun(r.ctx(), &hostv1.ContinueRunRequest{Id: "1"})
	require.NoError(t, err)
	require.Equal(t, "pending", resp.GetRun().GetState())
	_, err = api.ContinueRun(r.ctx(), &hostv1.ContinueRunRequest{Id: "2"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.Equal(t, "run 2 is processed and cannot be continued", status.Convert(err).Message())
	cancelled, err := api.CancelRun(r.ctx(), &hostv1.CancelRunRequest{Id: "1"})
	require.NoError(t, err)
	require.Equal(t, "cancelled", cancelled.GetRun().GetState())
	_, err = api.CancelRun(r.ctx(), &hostv1.CancelRunRequest{Id: "1"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	for _, id := range []string{"99", "", "x", "-1", "0"} {
		_, err = api.GetRun(r.ctx(), &hostv1.GetRunRequest{Id: id})
		require.Contains(t, []codes.Code{codes.NotFound, codes.InvalidArgument}, status.Code(err), id)
		require.Equal(t, "jackfield run list", info(t, err).GetHint())
	}
}

func TestACallerThatGoesIsNoError(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.store.edit(func(f *fakeStore) { f.runs = []store.Run{history(1, store.RunPending)} })
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+r.token()))
	stream, err := r.runs().WatchRun(ctx, &hostv1.WatchRunRequest{Id: "1"})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	cancel()
	_, err = stream.Recv()
	require.Equal(t, codes.Canceled, status.Code(err))
	require.NoError(t, r.stop())
	require.NotContains(t, r.log.String(), "[ERROR]")
}
