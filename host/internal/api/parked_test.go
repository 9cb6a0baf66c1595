package api

import (
	"testing"

	"github.com/stretchr/testify/require"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K17
//
// Connectors that the version which serves has no more are named, by integration, with
// what can be done; those of a plugin that does not serve have another trouble.
func TestParkedConnectorsAreNamed(t *testing.T) {
	t.Parallel()
	r := serve(t)
	has := func(version string, names ...string) sdk.Manifest {
		m := sdk.Manifest{Version: version}
		for _, name := range names {
			m.Connectors = append(m.Connectors, sdk.Connector{Name: name})
		}
		return m
	}
	one, all, declared := acme(1, "one"), acme(2, "all"), acme(3, "declared")
	one.Connectors, all.Connectors = []string{"commits", "tags", "notes"}, []string{"commits"}
	one.File, declared.Connectors, declared.File = "", []string{"tags"}, "tenants/acme.yaml"
	r.store.edit(func(f *fakeStore) { f.integrations = []store.Integration{one, all, declared} })
	r.plugins.list = []Plugin{{Name: "git", Version: "2.0.0", Verdict: "approved", State: "serving", PID: 7}}
	r.plugins.manifests = map[string]sdk.Manifest{"git": has("2.0.0", "commits", "branches")}
	reasons := func() []string {
		got, err := hostv1.NewStatusServiceClient(r.dial()).GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
		require.NoError(t, err)
		require.Equal(t, len(got.GetReasons()) > 0, got.GetState() == "degraded")
		return got.GetReasons()
	}
	require.Equal(t, []string{
		"connectors tags, notes of acme/one are parked: version 2.0.0 of plugin git has them no more, and their cursors are kept" +
			" (hint: jackfield plugin use git@VERSION goes back to one that has them; or name them no more in its file)",
		"connectors tags of acme/declared are parked: version 2.0.0 of plugin git has them no more, and their cursors are kept" +
			" (hint: jackfield plugin use git@VERSION goes back to one that has them; or name them no more in tenants/acme.yaml)",
	}, reasons())

	r.store.edit(func(f *fakeStore) {
		for id := int64(10); id < 20; id++ {
			in := acme(id, "more")
			in.Connectors = []string{"tags"}
			f.integrations = append(f.integrations, in)
		}
	})
	many := reasons()
	require.Len(t, many, maxFailing+1)
	require.Contains(t, many[maxFailing], "there are more integrations of plugin git with connectors that are parked")

	r.plugins.manifests["git"] = has("1.0.0", "commits", "tags", "notes")
	require.Empty(t, reasons(), "it has them again")
}
