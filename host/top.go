package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// How many runs a page has, and reasons why not all is well.
const (
	topRuns    = 20
	topReasons = 4
)

func (c *cli) topCommand() *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show what plugins and runs do, again and again",
		Long: `Show each plugin's process with what it takes of the machine, and the runs that
go on with how fast they are. On a terminal the page is drawn anew until Ctrl-C;
elsewhere, and with -o, it is printed once.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < 100*time.Millisecond {
				return usageError(fmt.Errorf("--every %s is too short", every), "at least 100ms")
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				draw := c.output == "table" && isTerminal(c.stdout) && c.getenv("TERM") != "dumb"
				return c.top(ctx, draw, every, func(ctx context.Context) (look, error) { return lookAt(ctx, d) })
			})
		},
	}
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "between two pages")
	return cmd
}

// look is the daemon at one moment.
type look struct {
	at     time.Time
	status *hostv1.GetStatusResponse
	runs   []*hostv1.Run
}

// lookAt asks what is going on.
func lookAt(ctx context.Context, d *daemon) (look, error) {
	st, err := hostv1.NewStatusServiceClient(d).GetStatus(ctx, &hostv1.GetStatusRequest{})
	if err != nil {
		return look{}, err
	}
	l := look{at: time.Now(), status: st}
	for _, state := range []string{"processing", "delayed", "pending"} {
		resp, err := hostv1.NewRunServiceClient(d).ListRuns(ctx, &hostv1.ListRunsRequest{State: state, PageSize: topRuns})
		if err != nil {
			return look{}, err
		}
		l.runs = append(l.runs, resp.GetRuns()...)
	}
	l.runs = l.runs[:min(len(l.runs), topRuns)]
	return l, nil
}

// The words that move a terminal's cursor: to its first place, and clearing what
// follows; the end of each line is cleared, so that nothing flickers.
const (
	cursorHome = "\x1b[H"
	clearLine  = "\x1b[K\n"
	clearRest  = "\x1b[J"
)

// top prints what ask answers: once, or with draw again and again until ctx ends.
func (c *cli) top(ctx context.Context, draw bool, every time.Duration, ask func(context.Context) (look, error)) error {
	var last look
	for {
		now, err := ask(ctx)
		if err != nil {
			return err
		}
		switch {
		case c.output != "table":
			runs := make([]any, len(now.runs))
			for i, r := range now.runs {
				runs[i] = document(r)
			}
			return c.printValue(object{{"status", document(now.status)}, {"runs", runs}})
		case !draw:
			return c.printTable(func(t *table) { topTable(t, last, now) })
		}
		var page strings.Builder
		t := newTable(c)
		topTable(t, last, now)
		if err := t.flush(&page); err != nil {
			return err
		}
		fmt.Fprint(c.stdout, cursorHome+strings.ReplaceAll(page.String(), "\n", clearLine)+clearRest)
		last = now
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
}

// topTable writes a page: what grew, by how much a second since the last one.
func topTable(t *table, last, now look) {
	s := now.status
	t.line(fmt.Sprintf("%s  version %s  pid %d  up %s", s.GetState(), s.GetVersion(), s.GetPid(), since(s.GetStartedAt().AsTime(), now.at)))
	topWhy(t, s.GetReasons())
	t.line(fmt.Sprintf("records %s%s  work due %s  runs %s  write-ahead log %s",
		thousands(s.GetStore().GetRecords()), growth(last, now, last.status.GetStore().GetRecords(), s.GetStore().GetRecords()),
		counted(s.GetLanesDue(), "lane"), orElse(counts(s.GetRuns()), "none"), bytesText(s.GetStore().GetWalBytes())))
	t.section("Plugins")
	t.head("NAME", "VERSION", "STATE", "PID", "CPU", "MEMORY", "CALLS", "RESTARTS")
	for _, p := range s.GetPlugins() {
		if p.GetState() == "" {
			continue
		}
		t.row(p.GetName(), p.GetVersion(), p.GetState(), pidText(p), cpuText(last, now, p), memoryText(p), p.GetCalls(), p.GetRestarts())
	}
	t.section("Runs")
	if len(now.runs) == 0 {
		t.line("none goes on or waits")
		return
	}
	t.head("ID", "INTEGRATION", "KIND", "STATE", "STREAMS", "RECORDS", "TIME")
	for _, r := range now.runs {
		read := r.GetStats().GetRead()
		t.row(r.GetId(), r.GetIntegration(), r.GetKind(), waitText(r), streamsText(r.GetStreams()),
			thousands(read)+growth(last, now, readBefore(last, r), read), (time.Duration(r.GetDurationMs()) * time.Millisecond).Round(time.Second).String())
	}
}

// topWhy writes what needs a person: the first few reasons, with what to do.
func topWhy(t *table, reasons []string) {
	for _, reason := range reasons[:min(len(reasons), topReasons)] {
		text, hint := splitHint(reason)
		if hint != "" {
			text += "  ->  " + hint
		}
		t.line("  because " + text)
	}
	if more := len(reasons) - topReasons; more > 0 {
		t.line(fmt.Sprintf("  and %d more: jackfield status", more))
	}
}

// waitText writes a run's state, and until when it waits.
func waitText(r *hostv1.Run) string {
	if until := r.GetDelayedUntil(); r.GetState() == "delayed" && until != nil {
		return "delayed until " + until.AsTime().Local().Format(time.TimeOnly)
	}
	return r.GetState()
}

// readBefore returns how many records a run had read at the look before; as many as
// now if it was not there.
func readBefore(last look, run *hostv1.Run) int64 {
	for _, r := range last.runs {
		if r.GetId() == run.GetId() {
			return r.GetStats().GetRead()
		}
	}
	return run.GetStats().GetRead()
}

// growth writes how much a number grew a second; nothing if it did not, or at the
// first look.
func growth(last, now look, before, after int64) string {
	seconds := now.at.Sub(last.at).Seconds()
	if last.status == nil || after <= before || seconds <= 0 {
		return ""
	}
	return fmt.Sprintf(" (+%s/s)", thousands(int64(float64(after-before)/seconds)))
}

// cpuText writes what a process takes of a processor, and at the first look the
// time that it has taken.
func cpuText(last, now look, p *hostv1.Plugin) string {
	if pidText(p) == "" {
		return ""
	}
	for _, before := range last.status.GetPlugins() {
		if elapsed := now.at.Sub(last.at); before.GetName() == p.GetName() && before.GetPid() == p.GetPid() && elapsed > 0 {
			used := time.Duration(max(0, p.GetCpuMs()-before.GetCpuMs())) * time.Millisecond // one of several may have ended
			return fmt.Sprintf("%.0f%%", 100*used.Seconds()/elapsed.Seconds())
		}
	}
	return (time.Duration(p.GetCpuMs()) * time.Millisecond).String()
}

// memoryText writes what a process has of the memory; nothing without one.
func memoryText(p *hostv1.Plugin) string {
	if pidText(p) == "" {
		return ""
	}
	return bytesText(p.GetMemory())
}

// since writes how long ago something was.
func since(then, now time.Time) string { return now.Sub(then).Round(time.Second).String() }
