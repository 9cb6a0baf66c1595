package sdk

import "context"

// EndpointCaller is a Host that calls endpoints of templates. Authors use CallEndpoint.
type EndpointCaller interface {
	// CallEndpoint calls an endpoint of the template that the manifest names, for the
	// integration of the call. Body is a JSON object, or nothing.
	CallEndpoint(ctx context.Context, name string, body []byte) (EndpointResult, error)
}

// EndpointResult is what an endpoint answered.
type EndpointResult struct {
	Status int    // of HTTP
	Body   []byte // JSON; nil if there was none
	// Items are what the endpoint's mapping found in it.
	Items []EndpointItem
	// Reads says that the endpoint only reads: the remote system is as it was.
	Reads bool
}

// EndpointItem is one thing that an endpoint's mapping found.
type EndpointItem struct {
	Shape  string // contact, call_log, ticket or list
	Values map[string]string
	Extra  []byte // a JSON object of what has no place in Values; may be nil
}

// DetailOutcome is the name of the detail of an error of CallEndpoint that says what is
// known of the request: not_sent, failed (the remote system refused it) or unknown (it
// may have arrived).
const DetailOutcome = "outcome"

// CallEndpoint calls an endpoint of the template that the manifest names, with the
// address, the credentials and the limits that the host has for it. An error is an
// *Error; Safe and DetailOutcome say whether the request may have arrived.
func CallEndpoint(ctx context.Context, name string, body []byte) (EndpointResult, error) {
	caller, ok := HostFrom(ctx).(EndpointCaller)
	if !ok {
		return EndpointResult{}, &Error{Class: ClassSystem, Code: "not_supported", Message: "this host calls no endpoints", Safe: true, Details: map[string]string{DetailOutcome: "not_sent"}}
	}
	return caller.CallEndpoint(ctx, name, body)
}
