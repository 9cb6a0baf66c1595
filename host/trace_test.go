//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collected is what a collector was sent.
type collected struct {
	mu    sync.Mutex // guards what follows
	raw   strings.Builder
	spans []collectedSpan
}

type collectedSpan struct {
	*tracepb.Span
	service string
}

// collect serves a collector of OTLP over HTTP until the test ends.
func collect(t *testing.T) (*collected, string) {
	t.Helper()
	c := &collected{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req collectorpb.ExportTraceServiceRequest
		if err = errors.Join(err, proto.Unmarshal(body, &req)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.take(body, &req)
	}))
	t.Cleanup(server.Close)
	return c, server.URL
}

func (c *collected) take(body []byte, req *collectorpb.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, of := range req.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, collectedSpan{s, service})
			}
		}
	}
}

// called returns the spans of a service and a name.
func (c *collected) called(service, name string) (out []collectedSpan) {
	for _, s := range c.spans {
		if s.service == service && s.GetName() == name {
			out = append(out, s)
		}
	}
	return out
}

// A run is one trace over the boundary: run, claims of streams, calls, and the
// plugin's side of each; and nothing that is secret or a record's is in it.
//
// rows: I10
func TestTraceCrossesTheBoundary(t *testing.T) {
	t.Parallel()
	const canary = "xoxb-1234567890-canary"
	c, url := collect(t)
	s := newSite(t, map[string]any{"streams": 3, "pages": 2, "records": 5, "mark": "content of a record", "secret": canary, "tell": true})
	s.write("host.yaml", fmt.Sprintf("version: 1\nlisten: 127.0.0.1:0\ntelemetry: {otlp: {endpoint: %q}}\n", url))
	d := s.start()
	s.ready()
	s.until("the first run ended", func() bool { return s.run().State == "processed" || s.run().State == "partial" })
	s.cli("integration", "check", "acme/load")
	d.stop(t)

	c.mu.Lock()
	defer c.mu.Unlock()
	runs := c.called("jackfield", "run onboarding")
	require.Len(t, runs, 1)
	run := runs[0]
	require.Empty(t, run.GetParentSpanId())
	in := func(s collectedSpan) bool { return slices.Equal(s.GetTraceId(), run.GetTraceId()) }
	out := func(s collectedSpan) bool { return !in(s) }
	byID := map[string]collectedSpan{}
	for _, s := range c.spans {
		byID[string(s.GetSpanId())] = s
	}
	above := func(s collectedSpan) string { return byID[string(s.GetParentSpanId())].GetName() }

	claims := c.called("jackfield", "stream root")
	require.GreaterOrEqual(t, len(claims), 6, "three streams of two pages")
	for _, s := range claims {
		require.True(t, in(s))
		require.Equal(t, run.GetSpanId(), s.GetParentSpanId())
	}
	applied := c.called("jackfield", "apply")
	require.GreaterOrEqual(t, len(applied), 6)
	for _, s := range applied {
		require.True(t, in(s))
		require.Contains(t, above(s), "stream ")
	}
	for _, method := range []string{"Open", "Preprocess", "GetStreams", "ProcessStream", "Postprocess"} {
		calls, theirs := c.called("jackfield", method), c.called("load", method)
		if method == "Open" { // the check may have opened it too, in a trace of its own
			calls, theirs = slices.DeleteFunc(calls, out), slices.DeleteFunc(theirs, out)
		}
		require.NotEmpty(t, calls, method)
		require.Len(t, theirs, len(calls), method)
		for _, s := range calls {
			require.True(t, in(s), method)
			require.Contains(t, above(s), "stream ", method)
			require.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, s.GetKind())
		}
		for _, s := range theirs {
			require.True(t, in(s), method)
			parent := byID[string(s.GetParentSpanId())]
			require.Equal(t, method, parent.GetName())
			require.Equal(t, "jackfield", parent.service)
			require.Equal(t, tracepb.Span_SPAN_KIND_SERVER, s.GetKind())
			require.GreaterOrEqual(t, s.GetStartTimeUnixNano(), parent.GetStartTimeUnixNano())
			require.LessOrEqual(t, s.GetEndTimeUnixNano(), parent.GetEndTimeUnixNano())
		}
	}
	checks := c.called("jackfield", "Check")
	require.Len(t, checks, 1)
	require.True(t, out(checks[0]), "a trace of its own")
	require.Equal(t, "check", above(checks[0]))
	require.Len(t, c.called("load", "Check"), 1)
	for _, method := range []string{"Describe", "HostLink", "Close"} {
		require.Empty(t, c.called("jackfield", method), "of no run")
	}

	for _, word := range []string{canary, "content of a record", "s0001", `"number"`} {
		require.NotContains(t, c.raw.String(), word)
	}
	require.Contains(t, c.raw.String(), "acme")
}
