package supervisor

import (
	"context"

	"github.com/jackfield/jackfield/sdk"
)

// Egress is the way out of one process. It is told what the process is for as that
// becomes known, and may be told from several goroutines.
type Egress interface {
	// Env returns variables, NAME=value, by which the process finds it.
	Env() []string
	// Describe tells what the process says of itself.
	Describe(m sdk.Manifest)
	// Open tells that the process is about to be given the settings of an integration.
	// What it returns is called, once or more often, when they are used no more.
	Open(in sdk.Integration) (left func())
	// Close is called when the process has ended.
	Close()
}

// noEgress is that of a process which connects by itself.
type noEgress struct{}

// Env implements Egress.
func (noEgress) Env() []string { return nil }

// Describe implements Egress.
func (noEgress) Describe(sdk.Manifest) {}

// Open implements Egress.
func (noEgress) Open(sdk.Integration) (left func()) { return func() {} }

// Close implements Egress.
func (noEgress) Close() {}

// makeEgress makes the process's way out.
func (p *process) makeEgress(ctx context.Context, dir string) error {
	made, err := p.opts.Egress(ctx, p.binary, dir)
	if made != nil {
		p.egress = made
	}
	return err //nolint:wrapcheck // the host's own words
}

// environ is the environment of the process, but for what go-plugin adds.
func (p *process) environ(dir string) []string {
	return append(p.opts.environ(dir, p.binary), p.egress.Env()...)
}
