package runner

import (
	"context"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// EndpointCall calls an endpoint of the template that a plugin's manifest names or brings
// along, for an integration of the plugin. Its error is an *sdk.Error.
type EndpointCall func(ctx context.Context, in store.Integration, m sdk.Manifest, name string, body []byte) (sdk.EndpointResult, error)

var _ sdk.EndpointCaller = (*services)(nil)

// CallEndpoint implements sdk.EndpointCaller. The plugin names the endpoint and no more:
// the template is its manifest's, the integration that of the call.
func (s *services) CallEndpoint(ctx context.Context, name string, body []byte) (sdk.EndpointResult, error) {
	if err := s.open(); err != nil {
		return sdk.EndpointResult{}, err
	}
	notSent := map[string]string{sdk.DetailOutcome: "not_sent"}
	if s.manifest.Template == "" && s.manifest.TemplateText == nil || s.r.opts.Endpoint == nil {
		return sdk.EndpointResult{}, &sdk.Error{
			Class: sdk.ClassConfig, Code: "no_template", Safe: true, Details: notSent,
			Message: "plugin " + s.in.Plugin + " has no template in its manifest whose endpoints it could call",
		}
	}
	return s.r.opts.Endpoint(ctx, s.in, s.manifest, name, body)
}
