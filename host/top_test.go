package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func TestTopTellsWhatGrew(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	asked := 0
	ask := func(context.Context) (look, error) {
		asked++
		n := int64(asked)
		if asked == 4 {
			return look{}, errors.New("the daemon is gone")
		}
		run := theRun("processing")
		run.Stats = &hostv1.RunStats{Read: 1000 * n}
		return look{
			at: begin.Add(2 * time.Second * time.Duration(n)),
			status: &hostv1.GetStatusResponse{
				State: "ok", StartedAt: at(0), Store: &hostv1.StatusStore{Records: 5000 * n},
				Plugins: []*hostv1.Plugin{
					{Name: "git", State: "serving", Pid: 7, CpuMs: 500 * n, Memory: 3 << 20},
					{Name: "slack", Verdict: "unapproved"},
					{Name: "gone", State: "idle"},
					{Name: "new\x1b[2J", State: "serving", Pid: uint32(100 + n), CpuMs: 40},
				},
			},
			runs: []*hostv1.Run{run},
		}, nil
	}
	var out bytes.Buffer
	c := newCLI(nil, &out, &out, func(string) string { return "" })
	c.output = "table"
	require.ErrorContains(t, c.top(t.Context(), true, time.Millisecond, ask), "gone")
	pages := strings.Split(out.String(), cursorHome)[1:]
	require.Len(t, pages, 3)
	first, second := strings.ReplaceAll(pages[0], clearLine, "\n"), strings.ReplaceAll(pages[1], clearLine, "\n")
	require.NotContains(t, first, "/s)", "there is nothing yet to compare with")
	require.Regexp(t, `git +- +serving +7 +500ms +3\.0 MiB`, first)
	require.Contains(t, second, "records 10,000 (+2,500/s)")
	require.Regexp(t, `git +- +serving +7 +25% `, second)
	require.Regexp(t, `serving +102 +40ms `, second, "another process than before")
	require.Regexp(t, `12 +acme/history +manual +processing .*2,000 \(\+500/s\)`, second)
	require.NotContains(t, second, "slack", "it has no process")
	require.Regexp(t, `(?m)^gone +- +idle( +-){3} +0 +0$`, second, "what rests has nothing of the machine")
	require.Equal(t, 1, strings.Count(second, "\x1b"), "what plugins say moves no cursor: %q", second)
}

// A page says why not all is well and what to do, and what a run waits for.
func TestTopTellsWhatNeedsAPerson(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := newCLI(nil, &out, &out, func(string) string { return "" })
	c.output = "table"
	reasons := []string{"the disk is full (hint: make room)", "two", "three\x1b[2J", "four", "five", "six"}
	waiting := theRun("delayed")
	waiting.DelayedUntil = at(90)
	answer := look{status: &hostv1.GetStatusResponse{State: "degraded", StartedAt: at(0), Reasons: reasons}, runs: []*hostv1.Run{waiting}}
	ask := func(context.Context) (look, error) { return answer, nil }
	require.NoError(t, c.top(t.Context(), false, time.Second, ask))
	page := out.String()
	require.Contains(t, page, "  because the disk is full  ->  make room\n")
	require.Contains(t, page, "  and 2 more: jackfield status\n")
	require.NotContains(t, page, "five")
	require.NotContains(t, page, "\x1b")
	require.Contains(t, page, "delayed until "+waiting.GetDelayedUntil().AsTime().Local().Format(time.TimeOnly))

	answer.runs = nil
	out.Reset()
	require.NoError(t, c.top(t.Context(), false, time.Second, ask))
	require.Contains(t, out.String(), "Runs\nnone goes on or waits\n")
}
