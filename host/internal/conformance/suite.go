package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/sdktest"
)

// Times that the suite waits.
const (
	orphanWithin = 15 * time.Second // for a process to notice that its host is gone, on a busy machine
	overtimeWait = 3 * time.Second  // for a plugin to notice that its call outlives its cancelling
	hangWithin   = 5 * time.Second  // for a cancelled call to let go of a remote system
	askWithin    = 10 * time.Second // for a plugin to ask the remote system anything
)

// Process is a plugin's process that has said what it is.
type Process interface {
	sdk.Plugin
	Describe(ctx context.Context) (sdk.Manifest, error)
	Health(ctx context.Context) error
	// Kill ends it at once.
	Kill()
	// Orphan lets it know that its host is gone and reports whether it ended within d.
	Orphan(d time.Duration) bool
	// Close ends it, if it lives, and leaves nothing behind.
	Close() error
}

// Options say what is tested, and with what. What is not there is skipped.
type Options struct {
	// Start starts the program anew; lines is told of all that it prints.
	Start func(ctx context.Context, lines func(Line)) (Process, error)
	// Reopen reports an error by which a process says that it does not know a handle.
	Reopen func(err error) bool

	Settings      []byte            // that work; {} if nil
	BadSettings   []byte            // that must be refused, besides those that follow from the schema
	Refused       []byte            // that the remote system refuses
	Connectors    []string          // all of the manifest's if empty
	Future        map[string][]byte // cursors after which there is nothing, by connector/partition
	RemoteSetting string            // the setting that holds the remote system's address
}

// suite is one test of one program.
type suite struct {
	opts   Options
	report Report
	lines  lines
	all    []Process
}

// Test holds a program against every rule. The error says that the test itself could
// not be done, not that the program is bad.
func Test(ctx context.Context, opts Options) (Report, error) {
	s := &suite{opts: opts}
	err := s.test(ctx)
	for _, p := range s.all {
		err = errors.Join(err, p.Close())
	}
	return s.report, err
}

func (s *suite) start(ctx context.Context) (Process, error) {
	p, err := s.opts.Start(ctx, s.lines.add)
	if err != nil {
		return nil, err
	}
	s.all = append(s.all, p)
	return p, nil
}

func (s *suite) test(ctx context.Context) error {
	p, err := s.start(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.report.add("start", "", []string{err.Error()})
		return nil
	}
	m := p.Manifest()
	s.report.Plugin, s.report.Version = m.Name, m.Version
	s.report.add("start", "", nil)
	s.report.add("health", "", text(p.Health(ctx)))
	again, err := p.Describe(ctx)
	differs := err == nil && !reflect.DeepEqual(m, again)
	s.report.add("marked", "", unmarked(m.SettingsSchema))
	if len(m.Connectors) == 0 {
		err = s.operation(ctx, p, m, differs)
	} else {
		err = s.contract(ctx, p, m, differs)
	}
	if err != nil {
		return err
	}
	s.handle(ctx, m)
	s.rateLimit(ctx, m)
	s.parent(ctx)
	s.output(m)
	return context.Cause(ctx)
}

// contract has the kit look at the rules of data, in a process of its own that is
// killed at the end.
func (s *suite) contract(ctx context.Context, p Process, m sdk.Manifest, differs bool) error {
	latest := p
	opts := sdktest.Options{
		Settings: s.opts.Settings, Connectors: s.opts.Connectors, BadSettings: s.opts.BadSettings, MoreBad: worse(m.SettingsSchema, s.opts.Settings),
		Refused: s.opts.Refused, Future: s.opts.Future,
		Restart: func(ctx context.Context) (sdk.Plugin, error) {
			s.lines.overtime(overtimeWait) // calls were cancelled: what it has to say of them, it says now
			latest.Kill()
			next, err := s.start(ctx)
			if err != nil {
				return nil, err
			}
			latest = next
			return next, nil
		},
	}
	s.add(ctx, sdktest.Examine(ctx, p, opts), m, differs)
	return context.Cause(ctx)
}

// operation looks at a plugin that has no connector: there is no run to do.
func (s *suite) operation(ctx context.Context, p Process, m sdk.Manifest, differs bool) error {
	opts := sdktest.Options{
		Settings: s.opts.Settings, BadSettings: s.opts.BadSettings, MoreBad: worse(m.SettingsSchema, s.opts.Settings), Refused: s.opts.Refused,
	}
	findings := sdktest.Examine(ctx, p, opts)
	for i, f := range findings {
		switch f.Rule {
		case "manifest", "bad_settings", "settings", "check", "check_refused", "close":
		default:
			findings[i] = sdktest.Finding{Rule: f.Rule, Skipped: cmp.Or(f.Skipped, "the plugin has no connector")}
		}
	}
	s.add(ctx, findings, m, differs)
	return context.Cause(ctx)
}

// add takes over what the kit found.
func (s *suite) add(ctx context.Context, findings []sdktest.Finding, m sdk.Manifest, differs bool) {
	for _, f := range findings {
		var broken []string
		for _, err := range f.Broken {
			broken = append(broken, err.Error())
		}
		if f.Rule == "manifest" && differs {
			broken = append(broken, "manifest: it differs when asked twice")
		}
		if f.Rule == "cancel" && f.Skipped == "" {
			broken = append(broken, s.silent(ctx, m)...)
		}
		s.report.add(f.Rule, f.Skipped, broken)
	}
}

// parent checks that the process ends when its host is gone.
func (s *suite) parent(ctx context.Context) {
	p, err := s.start(ctx)
	switch {
	case err != nil:
		s.report.add("parent", "", []string{"started again: " + err.Error()})
	case p.Orphan(orphanWithin):
		s.report.add("parent", "", nil)
	default:
		s.report.add("parent", "", []string{fmt.Sprintf("it lives %s after its host is gone", orphanWithin)})
	}
}

// output looks at all that the processes printed.
func (s *suite) output(m sdk.Manifest) {
	for _, p := range s.all {
		p.Kill()
	}
	said := s.lines.take()
	var stdout, stderr, leaks []string
	needles := sdktest.Secrets(m, s.opts.Settings)
	for _, l := range said {
		if l.Stdout && !l.Handshake {
			stdout = append(stdout, fmt.Sprintf("it printed %.80q", clip(l.Text, needles)))
		}
		if !l.Stdout {
			stderr = append(stderr, badLog(l)...)
		}
		if hides(l.Text, needles) {
			where := "stderr"
			if l.Stdout {
				where = "stdout"
			}
			leaks = append(leaks, "a secret of the settings is in a line of "+where)
		}
	}
	skipped := ""
	if len(needles) == 0 {
		skipped = "the settings hold no secret of 6 characters or more"
	}
	s.report.add("stdout", "", slices.Compact(stdout))
	s.report.add("stderr", "", slices.Compact(stderr))
	s.report.add("output", skipped, slices.Compact(leaks))
}

func text(err error) []string {
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}
