package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// calling is a host that calls endpoints.
type calling struct {
	*host
	answer sdk.EndpointResult
	err    error
	asked  string
}

// CallEndpoint implements sdk.EndpointCaller.
func (c *calling) CallEndpoint(_ context.Context, name string, body []byte) (sdk.EndpointResult, error) {
	c.asked = name + " " + string(body)
	return c.answer, c.err
}

// rows: K19, G30
func TestEndpointsOverTheLink(t *testing.T) {
	t.Parallel()
	h := &calling{host: newHost(), answer: sdk.EndpointResult{
		Status: 201, Body: []byte(`{"a":1}`), Reads: true,
		Items: []sdk.EndpointItem{{Shape: "contact", Values: map[string]string{"id": "7"}, Extra: []byte(`{"b":2}`)}},
	}}
	var got sdk.EndpointResult
	require.NoError(t, during(t, h, func(ctx context.Context, _ sdk.Host) (err error) {
		got, err = sdk.CallEndpoint(ctx, "find", []byte(`{"q":1}`))
		return err
	}))
	require.Equal(t, h.answer, got)
	require.Equal(t, `find {"q":1}`, h.asked)

	refusal := &sdk.Error{Class: sdk.ClassRemote, Code: "refused", Message: "no", Details: map[string]string{sdk.DetailOutcome: "failed", "field.name": "too long"}}
	for name, c := range map[string]struct {
		host sdk.Host
		want *sdk.Error
	}{
		"Refused":   {&calling{host: newHost(), err: refusal}, refusal},
		"NotThere":  {newHost(), &sdk.Error{Class: sdk.ClassSystem, Code: "not_supported", Message: "this host calls no endpoints", Safe: true, Details: map[string]string{sdk.DetailOutcome: "not_sent"}}},
		"TooLarge":  {&calling{host: newHost(), answer: sdk.EndpointResult{Body: bytes.Repeat([]byte("1"), 1<<20)}}, &sdk.Error{Class: sdk.ClassRemote, Code: "message_too_large", Details: map[string]string{sdk.DetailOutcome: "unknown"}}},
		"SafeToAsk": {&calling{host: newHost(), err: &sdk.Error{Class: sdk.ClassTransient, Code: "unreachable", Message: "gone", Safe: true}}, &sdk.Error{Class: sdk.ClassTransient, Code: "unreachable", Message: "gone", Safe: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, during(t, c.host, func(ctx context.Context, _ sdk.Host) error {
				_, err := sdk.CallEndpoint(ctx, "find", nil)
				e := sdk.AsError(err)
				if e == nil || e.Class != c.want.Class || e.Code != c.want.Code || e.Safe != c.want.Safe || !maps.Equal(e.Details, c.want.Details) {
					return errors.Join(errors.New("another error"), err)
				}
				return nil
			}))
		})
	}
}
