package api

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// rows: H24, O22
//
// A tenant whose process of a plugin is down is named in the status, the first few of
// many; the others are none of its concern.
func TestStatusNamesTenantsThatAreNotServed(t *testing.T) {
	t.Parallel()
	r := serve(t)
	p := Plugin{
		Name: "slack", Verdict: "approved", State: "serving", Isolation: "tenant", Waiting: 2,
		Processes: []TenantProcess{{Tenant: "acme", State: "serving", PID: 7, Calls: 1}, {Tenant: "globex", State: "quarantined", Reason: "it ends again and again"}},
	}
	r.plugins.list = []Plugin{p}
	status := func() *hostv1.GetStatusResponse {
		got, err := hostv1.NewStatusServiceClient(r.dial()).GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
		require.NoError(t, err)
		return got
	}
	got := status()
	require.Equal(t, []string{"plugin slack does not serve tenant globex: it ends again and again"}, got.GetReasons())
	require.Equal(t, "degraded", got.GetState())
	one := got.GetPlugins()[0]
	require.Equal(t, "tenant", one.GetIsolation())
	require.EqualValues(t, 2, one.GetWaiting())
	require.EqualValues(t, 7, one.GetProcesses()[0].GetPid())
	require.Equal(t, "acme", one.GetProcesses()[0].GetTenant())

	for n := range 10 {
		p.Processes = append(p.Processes, TenantProcess{Tenant: fmt.Sprint("t", n), State: "backoff"})
	}
	r.plugins.list = []Plugin{p}
	got = status()
	require.Len(t, got.GetReasons(), 6)
	require.Equal(t, "plugin slack does not serve 6 more tenants (hint: jackfield plugin show slack)", got.GetReasons()[5])
}
