package plugin

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

var _ sdk.EndpointCaller = (*callHost)(nil)

// CallEndpoint implements sdk.EndpointCaller.
func (h *callHost) CallEndpoint(ctx context.Context, name string, body []byte) (sdk.EndpointResult, error) {
	answer, err := h.ask(ctx, &pluginv1.HostLinkResponse{Ask: &pluginv1.HostLinkResponse_EndpointCall{
		EndpointCall: &pluginv1.EndpointCall{Name: text(name), Body: body},
	}})
	return endpointFromProto(answer.GetEndpointResult()), err
}

// callEndpoint has the host of a call call an endpoint.
func callEndpoint(ctx context.Context, host sdk.Host, ask *pluginv1.EndpointCall) (*pluginv1.EndpointResult, error) {
	res, err := sdk.CallEndpoint(sdk.WithHost(ctx, host), ask.GetName(), ask.GetBody())
	if err != nil {
		return nil, err
	}
	p := endpointToProto(res)
	if size := proto.Size(p); size > maxLinkMessage-64 {
		return nil, &sdk.Error{Class: sdk.ClassRemote, Code: codeTooLarge, Message: fmt.Sprintf("the answer of endpoint %.64s has %d bytes, %d are allowed", ask.GetName(), size, maxLinkMessage-64), Safe: res.Reads, Details: map[string]string{sdk.DetailOutcome: "unknown"}}
	}
	return p, nil
}

func endpointToProto(r sdk.EndpointResult) *pluginv1.EndpointResult {
	p := &pluginv1.EndpointResult{Status: toInt32(r.Status), Body: r.Body, Reads: r.Reads}
	for _, i := range r.Items {
		p.Items = append(p.Items, &pluginv1.EndpointItem{Shape: i.Shape, Values: i.Values, Extra: i.Extra})
	}
	return p
}

func endpointFromProto(p *pluginv1.EndpointResult) sdk.EndpointResult {
	r := sdk.EndpointResult{Status: int(p.GetStatus()), Body: p.GetBody(), Reads: p.GetReads()}
	for _, i := range p.GetItems() {
		r.Items = append(r.Items, sdk.EndpointItem{Shape: i.GetShape(), Values: i.GetValues(), Extra: i.GetExtra()})
	}
	return r
}
