package sdktest

import (
	"context"
	"slices"

	"github.com/jackfield/jackfield/sdk"
)

// Finding is what became of one rule of the contract.
type Finding struct {
	Rule    string  // such as "resume"
	Skipped string  // why nobody looked; empty if somebody did
	Broken  []error // how it is broken; none if it is kept
}

// Examine is Exercise with what became of each rule, in the order of looking. When
// the settings are not taken there is nothing more to look at: the rules after that
// are skipped.
func Examine(ctx context.Context, p sdk.Plugin, opts Options) []Finding {
	e := &exercise{plugin: p, opts: opts}
	e.rule("manifest", "", e.manifest)
	e.rule("bad_settings", without(opts.BadSettings == nil && len(opts.MoreBad) == 0, "no bad settings to try"), func() { e.badSettings(ctx) })
	var (
		first *run
		err   error
	)
	e.rule("settings", "", func() {
		if first, err = newRun(ctx, p, opts); err != nil {
			e.broken("%w", err)
		}
	})
	missing := without(err != nil, "the settings are not taken")
	skip := func(reason string) string {
		if missing != "" {
			return missing
		}
		return reason
	}
	checks := p.Manifest().Has(sdk.CanCheck)
	e.rule("check", skip(without(!checks, "the plugin has no Check")), func() { e.check(ctx, first) })
	refused := without(opts.Refused == nil, "no settings that the remote system refuses")
	e.rule("check_refused", skip(orText(without(!checks, "the plugin has no Check"), refused)), func() { e.checkRefused(ctx) })
	e.rule("run", skip(""), func() {
		if err := first.do(ctx); err != nil {
			e.broken("%w", err)
		}
	})
	e.rule("streams", skip(""), func() { e.streams(first) })
	e.rule("pages", skip(""), func() { e.pages(first) })
	e.rule("sizes", skip(""), func() { e.sizes(first) })
	e.rule("ids", skip(""), func() { e.ids(first) })
	e.rule("records", skip(""), func() { e.kept(first) })
	e.rule("skips", skip(""), func() { e.verdicts(first) })
	secrets := without(missing == "" && len(Secrets(p.Manifest(), opts.Settings)) == 0, "the settings hold no secret of 6 characters or more")
	e.rule("secrets", skip(secrets), func() { e.secrets(first) })
	e.rule("resume", skip(""), func() { e.resume(ctx, first) })
	e.rule("repeat", skip(""), func() { e.repeat(ctx, first) })
	e.rule("second_run", skip(""), func() { e.again(ctx, first) })
	e.rule("go_on", skip(without(missing == "" && len(first.result.Cursors) == 0, "the run leaves no cursor")), func() { e.goOn(ctx, first) })
	e.rule("future", skip(without(len(opts.Future) == 0, "no cursors of the future")), func() { e.future(ctx) })
	e.rule("cancel", skip(""), func() { e.cancel(ctx, first) })
	e.rule("close", skip(""), func() { e.closes(ctx, first) })
	e.rule("kill", skip(without(opts.Restart == nil, "there is no process to kill")), func() { e.kill(ctx, first) })
	return e.findings
}

// rule looks at one rule, unless there is a reason not to.
func (e *exercise) rule(name, skipped string, look func()) {
	e.findings = append(e.findings, Finding{Rule: name, Skipped: skipped})
	if skipped == "" {
		look()
	}
}

// breaks reports whether a rule that was looked at is broken.
func (e *exercise) breaks(name string) bool {
	return slices.ContainsFunc(e.findings, func(f Finding) bool { return f.Rule == name && len(f.Broken) > 0 })
}

// without returns the reason if it holds.
func without(holds bool, reason string) string {
	if holds {
		return reason
	}
	return ""
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
