// Crmday plays a day of calls against the quick start, while its CRM is slow, refuses
// some requests and loses some answers. At the end it counts what the CRM holds: one log
// for each call, none lost and none doubled.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crmday:", err)
		os.Exit(1)
	}
}

// settings are what the command line says.
type settings struct {
	jackfield, config, integration, crm, key string
	calls                                    int
	fail, lose                               float64
	slow, patience                           time.Duration
}

func settingsFrom(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("crmday", flag.ContinueOnError)
	f.StringVar(&s.jackfield, "jackfield", "bin/jackfield", "the command")
	f.StringVar(&s.config, "c", "examples/quickstart/host.yaml", "host.yaml of the daemon")
	f.StringVar(&s.integration, "integration", "acme/crm", "the integration whose calls they are")
	f.StringVar(&s.crm, "crm", "", "host and port of the CRM; as the integration's template says if empty")
	f.StringVar(&s.key, "key", "key-of-acme", "API key of the CRM")
	f.IntVar(&s.calls, "calls", 28, "how many calls")
	f.Float64Var(&s.fail, "fail", 0.2, "share of requests that the CRM refuses")
	f.Float64Var(&s.lose, "lose", 0.05, "share of requests that it does, and whose answer is lost")
	f.DurationVar(&s.slow, "slow", 50*time.Millisecond, "how long each of its answers takes")
	f.DurationVar(&s.patience, "patience", 5*time.Minute, "how long to wait until everything is in the CRM")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if s.calls < 1 || s.calls > 1000 {
		return s, errors.New("-calls is 1 to 1000")
	}
	return s, nil
}

// run plays the day and counts.
func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := settingsFrom(args)
	if err != nil {
		return err
	}
	d := &day{settings: s, out: out, began: time.Now()}
	d.name = d.began.UTC().Format("150405")
	if err := d.open(ctx); err != nil {
		return err
	}
	defer d.close(context.WithoutCancel(ctx))
	if err := d.trouble(ctx, map[string]any{"fail": s.fail, "lose": s.lose, "slow": s.slow.String()}); err != nil {
		return err
	}
	fmt.Fprintf(out, "the CRM takes %v for each answer, refuses %.0f of 100 requests and loses %.0f of 100 answers\n\n", s.slow, 100*s.fail, 100*s.lose)
	err = d.play(ctx)
	if err == nil {
		err = d.settle(ctx)
	}
	err = errors.Join(err, d.trouble(context.WithoutCancel(ctx), map[string]any{})) // the CRM is well again, whatever happened
	if err != nil {
		return err
	}
	return d.count(ctx)
}

// command runs jackfield and reads the JSON that it prints.
func (d *day) command(ctx context.Context, into any, args ...string) error {
	cmd := exec.CommandContext(ctx, d.jackfield, append([]string{"-c", d.config, "-o", "json"}, args...)...) //nolint:gosec // the caller's own program
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("jackfield %s: %w\n%s(hint: make run serves it)", args[0]+" "+args[1], err, errs.String())
	}
	return json.Unmarshal(out.Bytes(), into)
}
