package api

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// The bounds of a look at the logs.
const (
	defaultLogLines = 100
	maxLogLines     = 1000
)

// logLevels are those of lines, the gravest last.
func logLevels() []string { return []string{"trace", "debug", "info", "warn", "error"} }

// logFilter returns which lines are asked for. What a line says of tenant,
// integration and run is the host's word for what is logged in a call; a line that
// the plugin printed says what the plugin says.
func logFilter(req *hostv1.StreamPluginLogsRequest) (func(LogLine) bool, error) {
	least := slices.Index(logLevels(), req.GetLevel())
	if req.GetLevel() != "" && least < 0 {
		return nil, invalid("one of "+strings.Join(logLevels(), ", "), "%q is no level", req.GetLevel())
	}
	want := map[string]string{"run": req.GetRun(), "tenant": req.GetTenant()}
	if name := req.GetIntegration(); name != "" {
		tenant, integration, ok := strings.Cut(name, "/")
		if !ok || req.GetTenant() != "" && req.GetTenant() != tenant {
			return nil, invalid("such as acme/crm", "%q is no TENANT/NAME of that tenant", name)
		}
		want["tenant"], want["integration"] = tenant, integration
	}
	return func(l LogLine) bool {
		for name, value := range want {
			if value != "" && l.Fields[name] != value {
				return false
			}
		}
		return least <= 0 || slices.Index(logLevels(), l.Level) >= least
	}, nil
}

// StreamPluginLogs returns the last lines and, with follow, the new ones.
func (s *pluginService) StreamPluginLogs(req *hostv1.StreamPluginLogsRequest, out grpc.ServerStreamingServer[hostv1.StreamPluginLogsResponse]) error {
	wants, err := logFilter(req)
	if err != nil {
		return err
	}
	release, err := s.acquire()
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithCancel(out.Context())
	defer cancel()
	var follow <-chan LogLine
	if req.GetFollow() { // before the lines there are: none is lost, one may come twice
		if follow, err = s.deps.Plugins.Follow(ctx, req.GetName()); err != nil {
			return err
		}
	}
	lines := defaultLogLines
	if n := req.GetLines(); n > 0 {
		lines = int(min(n, maxLogLines))
	}
	list, err := s.deps.Plugins.Logs(ctx, req.GetName(), maxLogLines)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(slices.Clone(list), func(l LogLine) bool { return !wants(l) })
	for _, line := range list[max(0, len(list)-lines):] {
		if err := out.Send(s.logLine(line)); err != nil {
			return err
		}
	}
	for req.GetFollow() {
		select {
		case line, ok := <-follow:
			if !ok {
				return nil
			}
			if !wants(line) {
				continue
			}
			if err := out.Send(s.logLine(line)); err != nil {
				return err
			}
		case <-s.stopping:
			return errStopping()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *Server) logLine(l LogLine) *hostv1.StreamPluginLogsResponse {
	fields := make(map[string]string, len(l.Fields))
	for k, v := range l.Fields {
		fields[k] = s.opts.Redact(v)
	}
	return &hostv1.StreamPluginLogsResponse{At: timestamp(l.At), Level: l.Level, Message: s.opts.Redact(l.Message), Fields: fields}
}
