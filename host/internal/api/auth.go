package api

import (
	"context"
	"net/netip"
	"net/url"
	"time"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// Connects connects integrations that a person has to agree to.
type Connects interface {
	// BeginConnect returns the address that the person opens, and what is kept until
	// the answer comes. What is missing comes as *EndpointError.
	BeginConnect(ctx context.Context, in store.Integration, redirect string) (Connect, error)
	// FinishConnect exchanges the code for a token. It returns store.ErrNotFound for a
	// state that there is not, or not any more.
	FinishConnect(ctx context.Context, in store.Integration, state, code string) error
}

// Connect is a connection that waits for its answer.
type Connect struct {
	URL, State string
	ExpiresAt  time.Time
}

type authService struct {
	hostv1.UnimplementedAuthServiceServer
	*Server
}

// BeginConnect returns the address that a person opens.
func (s *authService) BeginConnect(ctx context.Context, req *hostv1.BeginConnectRequest) (*hostv1.BeginConnectResponse, error) {
	if !goodRedirect(req.GetRedirectUri()) {
		return nil, &Error{Kind: KindInvalid, Message: "the answer cannot go there", Fields: []FieldError{{"redirect_uri", "https, or http on a loopback address, without user and fragment"}}}
	}
	in, err := s.findTemplated(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	c, err := s.deps.Connects.BeginConnect(ctx, in, req.GetRedirectUri())
	if err != nil {
		return nil, s.endpointFault(err)
	}
	return &hostv1.BeginConnectResponse{Url: c.URL, State: c.State, ExpiresAt: timestamp(c.ExpiresAt)}, nil
}

// goodRedirect reports whether a code may be sent to an address.
func goodRedirect(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	ip, ipErr := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ipErr == nil && ip.IsLoopback())
}

// FinishConnect exchanges the code for a token.
func (s *authService) FinishConnect(ctx context.Context, req *hostv1.FinishConnectRequest) (*hostv1.FinishConnectResponse, error) {
	in, err := s.findTemplated(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	if req.GetState() == "" || req.GetCode() == "" {
		return nil, invalid("", "the state and the code of the answer are needed")
	}
	if err := s.deps.Connects.FinishConnect(ctx, in, req.GetState(), req.GetCode()); err != nil {
		return nil, s.endpointFault(err)
	}
	if in, err = s.deps.Store.IntegrationByUID(ctx, in.UID); err != nil {
		return nil, err
	}
	s.log.Info("integration connected", "integration", in.FullName(), "by", callerOf(ctx).String())
	return &hostv1.FinishConnectResponse{Integration: in.FullName(), State: string(in.State)}, nil
}
