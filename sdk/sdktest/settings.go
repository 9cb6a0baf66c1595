package sdktest

import (
	"context"

	"github.com/jackfield/jackfield/sdk"
)

// badSettings checks that Open refuses what it must.
func (e *exercise) badSettings(ctx context.Context) {
	all := e.opts.MoreBad
	if e.opts.BadSettings != nil {
		all = append([]Bad{{What: "the bad settings", Settings: e.opts.BadSettings}}, all...)
	}
	for _, bad := range all {
		e.badSetting(ctx, bad)
	}
}

func (e *exercise) badSetting(ctx context.Context, bad Bad) {
	i, err := open(ctx, e.plugin, bad.Settings, e.opts.Connectors)
	if err == nil {
		e.broken("open: %s are taken", bad.What)
		shut(i)
		return
	}
	e.refusal(err, bad.Settings)
	if c := sdk.AsError(err).Class; c != sdk.ClassConfig {
		e.broken("open: %s are refused as %s, not %s: %w", bad.What, c, sdk.ClassConfig, err)
	}
}

// refusal keeps what the plugin said, to look for secrets in it.
func (e *exercise) refusal(err error, settings []byte) {
	e.refused = append(e.refused, err)
	e.canaries = append(e.canaries, Secrets(e.plugin.Manifest(), settings)...)
}

// check checks that the settings, with which a run is done, pass.
func (e *exercise) check(ctx context.Context, r *run) {
	if err := e.checked(ctx, r.instance, r.host); err != nil {
		e.broken("check: the settings are refused: %w", err)
	}
}

// checkRefused checks that Check says so when the remote system refuses.
func (e *exercise) checkRefused(ctx context.Context) {
	i, err := open(ctx, e.plugin, e.opts.Refused, e.opts.Connectors)
	if err != nil {
		e.broken("open: settings that only the remote system can refuse are refused: %w", err)
		return
	}
	defer shut(i)
	err = e.checked(ctx, i, NewHost())
	if err == nil {
		e.broken("check: settings that the remote system refuses pass (hint: Check has to dial)")
		return
	}
	e.refusal(err, e.opts.Refused)
	if failure := sdk.AsError(err); !failure.Permanent() {
		e.broken("check: settings that the remote system refuses fail as %s, not %s or %s: %w", failure.Class, sdk.ClassAuth, sdk.ClassConfig, err)
	}
}

func (e *exercise) checked(ctx context.Context, i sdk.Instance, host sdk.Host) error {
	checker, ok := i.(sdk.Checker)
	if !ok {
		return nil // Implements has said so
	}
	return checker.Check(sdk.WithHost(ctx, host))
}

// closes checks that an instance closes: the first, unless it is needed once more.
func (e *exercise) closes(ctx context.Context, first *run) {
	if e.opts.Restart == nil {
		if err := first.close(); err != nil {
			e.broken("%w", err)
		}
		return
	}
	other, err := newRun(ctx, e.plugin, first.opts)
	if err == nil {
		err = other.close()
	}
	if err != nil {
		e.broken("another instance: %w", err)
	}
}

func shut(i sdk.Instance) {
	if closer, ok := i.(sdk.Closer); ok {
		_ = closer.Close() // what it was opened for is over
	}
}
