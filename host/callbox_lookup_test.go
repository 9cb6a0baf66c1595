package main

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/callbox"
	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// silentCRM answers nothing.
type silentCRM struct{}

func (silentCRM) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A lookup takes as long as its integration says, else its template, else the host.
//
// rows: G23
func TestALookupTakesAsLongAsItsIntegrationSays(t *testing.T) {
	t.Parallel()
	c := newChainCRM(t)
	ts, in := chained(t, c)
	for name, c := range map[string]struct {
		plugin      bool
		template    string // info
		integration time.Duration
		want        time.Duration
	}{
		"the host's":                            {want: 3 * time.Second},
		"the template's":                        {template: `{"hooks": {"getDataIframe": {"deadline": 2000000000}}}`, want: 2 * time.Second},
		"the integration's is shorter":          {template: `{"hooks": {"getDataIframe": {"deadline": 2000000000}}}`, integration: 700 * time.Millisecond, want: 700 * time.Millisecond},
		"the integration's is longer":           {template: `{"hooks": {"getDataIframe": {"deadline": 2000000000}}}`, integration: 5 * time.Second, want: 5 * time.Second},
		"the host's, of a plugin":               {plugin: true, want: 3 * time.Second},
		"the integration's, of a plugin":        {plugin: true, integration: 700 * time.Millisecond, want: 700 * time.Millisecond},
		"the integration's longer, of a plugin": {plugin: true, integration: 5 * time.Second, want: 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			in, ts := in, &templates{keys: ts.keys, redactor: ts.redactor, log: ts.log, compiler: ts.compiler, chains: chain.New(chain.Options{}), ready: ts.ready}
			var err error
			ts.engine, err = endpoint.New(endpoint.Options{Transport: func(string) http.RoundTripper { return silentCRM{} }, Tokens: noTokens{}, Plain: func(string) bool { return true }})
			require.NoError(t, err)
			in.Info, in.Lookup, in.State = []byte(c.template), c.integration, store.IntegrationActive
			h := pluginHooks(nil, sdk.HookGetDataIframe)
			h.flows, h.lookup = templateFlows{ts, 3 * time.Second}, 3*time.Second
			if c.plugin {
				in.Template, in.Plugin = "", "crm"
			}
			h.integration = func(context.Context, string) (store.Integration, error) { return in, nil }
			h.invoke = func(ctx context.Context, _ store.Integration, _ sdk.HookCall) (sdk.HookResult, error) {
				<-ctx.Done()
				return sdk.HookResult{}, ctx.Err()
			}
			require.Equal(t, c.want, h.Plan(t.Context(), in, store.CallStarted).Lookup, "%s: so long waits who sends the event", name)
			begin := time.Now()
			res := h.Run(t.Context(), callbox.Job{
				Event: store.CallEvent{Type: store.CallStarted, Attempts: 1}, Hook: sdk.HookGetDataIframe,
				Body: sdk.CallEvent{Type: "call.started", CallID: "c-1", Direction: "in", From: "+49301234567", Number: "+49301234567"},
			})
			require.Equal(t, c.want, time.Since(begin), name)
			require.NotNil(t, res.Err, name)
			require.Equal(t, callbox.CodeLookupTimeout, res.Err.Code, name)
			<-time.After(time.Minute) // the request itself has a time of its own: others may wait for it
		})
	}
}
