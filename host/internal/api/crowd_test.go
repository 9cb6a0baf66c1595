package api

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// rows: F28
//
// Connections beyond the bound are refused by name while some places are left and
// wait when none is; the one who asks for the status learns why. All is well again
// when they are gone, and none keeps the server from stopping.
func TestACrowdIsRefusedByName(t *testing.T) {
	t.Parallel()
	const most = 10
	r := serve(t, func(o *Options) { o.MaxConns = most })
	d := r.dial() // one place, and one is the next comer's
	tenants, status := hostv1.NewTenantServiceClient(d), hostv1.NewStatusServiceClient(d)
	_, err := tenants.ListTenants(r.ctx(), &hostv1.ListTenantsRequest{})
	require.NoError(t, err)
	var crowd []net.Conn
	come := func() {
		conn, err := new(net.Dialer).DialContext(t.Context(), "unix", r.server.opts.Socket)
		require.NoError(t, err)
		crowd = append(crowd, conn)
	}
	taken := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool { return len(r.server.crowd) == n }, time.Minute, time.Millisecond)
	}
	for range 6 {
		come()
	}
	taken(8)
	_, err = tenants.ListTenants(r.ctx(), &hostv1.ListTenantsRequest{})
	require.NoError(t, err, "four fifths")
	come()
	taken(9)
	_, err = tenants.ListTenants(r.ctx(), &hostv1.ListTenantsRequest{})
	require.ErrorContains(t, err, "9 of 10 connections to the API are taken")
	require.Equal(t, string(KindLimit), info(t, err).GetCode())
	for range 30 {
		come() // all but two of them wait in the system's queue
	}
	taken(most)
	st, err := status.GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
	require.NoError(t, err)
	require.Equal(t, "degraded", st.GetState())
	require.Contains(t, st.GetReasons()[0], "10 of 10 connections to the API are taken (hint: end what holds them")
	require.Len(t, r.server.crowd, most)
	for _, conn := range crowd {
		require.NoError(t, conn.Close())
	}
	taken(2)
	_, err = tenants.ListTenants(r.ctx(), &hostv1.ListTenantsRequest{})
	require.NoError(t, err)
	for range most {
		come()
	}
	taken(most)
	require.NoError(t, r.stop())
	runtime.KeepAlive(crowd) // the collector closes a connection that nobody has
}
