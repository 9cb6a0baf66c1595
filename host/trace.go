package main

import (
	"context"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/host/internal/telemetry"
)

var _ runner.Tracer = (*telemetry.Traces)(nil)

// openTraces makes the traces that host.yaml asks for; nil: nobody wants any, and
// nothing is done for them.
func (h *Host) openTraces(ctx context.Context, cfg config.OTLP) (*telemetry.Traces, error) {
	if cfg.Endpoint == "" {
		return nil, nil
	}
	return telemetry.NewTraces(ctx, telemetry.TraceOptions{
		Endpoint: cfg.Endpoint, Share: cfg.Share, Version: readBuild().version,
		Redact: h.redactor.Redact, Count: h.metrics.Spans, Log: h.log.Named("trace"),
	})
}

// traceCall is what the supervisor asks for each call; nil if nobody traces.
func traceCall(t *telemetry.Traces) func(ctx context.Context, plugin, method string) (string, func(supervisor.TracedCall)) {
	if t == nil {
		return nil
	}
	return func(ctx context.Context, plugin, method string) (string, func(supervisor.TracedCall)) {
		span := t.Call(ctx, plugin, method)
		if span == nil {
			return "", nil
		}
		return span.Parent(), func(c supervisor.TracedCall) {
			span.End(ctx, c.Began, c.Ended, c.Code, telemetry.PluginSpan(c.Plugin))
		}
	}
}

// trace sends what is traced, if somebody wants it.
func (h *Host) trace(ctx context.Context) error {
	if h.traces == nil {
		<-ctx.Done()
		return nil
	}
	return h.traces.Run(ctx)
}
