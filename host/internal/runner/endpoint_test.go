package runner

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// A plugin names the endpoint: whose it is says the call, and of which template the
// manifest. rows: K19, P10, I09
func TestAnEndpointIsCalledForTheIntegrationOfTheCall(t *testing.T) {
	t.Parallel()
	_, call := servicesFor(t)
	one, two := call("acme", "u1"), call("umbrella", "u2")
	_, err := one.CallEndpoint(t.Context(), "find", nil)
	require.Equal(t, "no_template", sdk.AsError(err).Code, "the manifest names none")

	for _, s := range []*services{one, two} {
		s.manifest.Template = "crm"
		s.r.opts.Endpoint = func(_ context.Context, in store.Integration, m sdk.Manifest, name string, body []byte) (sdk.EndpointResult, error) {
			return sdk.EndpointResult{Body: []byte(in.Tenant + " " + in.UID + " " + m.Template + " " + name + " " + string(body))}, nil
		}
	}
	res, err := one.CallEndpoint(t.Context(), "find", []byte("{}"))
	require.NoError(t, err)
	require.Equal(t, "acme u1 crm find {}", string(res.Body))
	res, err = two.CallEndpoint(t.Context(), "find", nil)
	require.NoError(t, err)
	require.Equal(t, "umbrella u2 crm find ", string(res.Body))

	one.end()
	_, err = one.CallEndpoint(t.Context(), "find", nil)
	require.ErrorContains(t, err, "call_ended")
}
