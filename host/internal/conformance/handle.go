package conformance

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/sdk"
)

// handle checks that a call with a handle that the process does not know, here one that
// was closed, is answered so that the host opens another.
func (s *suite) handle(ctx context.Context, m sdk.Manifest) {
	if s.opts.Reopen == nil {
		s.report.add("handle", "nobody knows that answer", nil)
		return
	}
	p, err := s.start(ctx)
	if err != nil {
		s.report.add("handle", "", []string{"started again: " + err.Error()})
		return
	}
	defer p.Kill()
	settings := s.opts.Settings
	if settings == nil {
		settings = []byte("{}")
	}
	i, err := p.Open(ctx, sdk.Integration{Tenant: "acme", Name: "test", ID: "integration-1", Revision: 1, Connectors: s.opts.Connectors, Settings: sdk.NewSettings(settings)})
	if err != nil {
		s.report.add("handle", "the settings are not taken", nil)
		return
	}
	if closer, ok := i.(sdk.Closer); ok {
		_ = closer.Close() // a rule of its own
	}
	s.report.add("handle", "", text(s.unknown(ctx, m, i)))
}

// unknown makes a call of an instance that is closed.
func (s *suite) unknown(ctx context.Context, m sdk.Manifest, i sdk.Instance) error {
	var err error
	if invoker, ok := i.(sdk.Invoker); ok && len(m.Connectors) == 0 {
		_, err = invoker.Invoke(ctx, sdk.HookCall{Name: "none", Payload: []byte("{}")})
	} else {
		err = i.GetStreams(ctx, sdk.PlanCall{Run: sdk.Run{ID: "run-1"}}, sdk.NewEmitter(nothing{}))
	}
	switch {
	case s.opts.Reopen(err):
		return nil
	case err == nil:
		return errors.New("a call with a handle that was closed is answered as if it was open")
	default:
		return fmt.Errorf("a call with a handle that was closed fails otherwise: %w", err)
	}
}

// nothing takes whatever is emitted.
type nothing struct{}

// Send implements sdk.Sink.
func (nothing) Send(context.Context, sdk.Batch) error { return nil }

// Checkpoint implements sdk.Sink.
func (nothing) Checkpoint(context.Context, sdk.Checkpoint) error { return nil }
