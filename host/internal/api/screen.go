package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// Screens shows calls to agents.
type Screens interface {
	// Open returns an address that opens a screen of a call once, and until when. It
	// answers store.ErrNotFound for a call that there is not.
	Open(ctx context.Context, in store.Integration, r ScreenRequest) (address string, until time.Time, err error)
	// Close ends the screens of an integration, and of those only the ones of the call and
	// of the agent if they are not empty. It returns how many there were.
	Close(in store.Integration, call, agent string) int
}

// ScreenRequest is what a screen is for.
type ScreenRequest struct {
	Call   string // the id that the sender of its events knows
	Agent  string
	Origin string // of the page that embeds it
}

type screenService struct {
	hostv1.UnimplementedScreenServiceServer
	*Server
}

// OpenScreen returns the address of a screen.
func (s *screenService) OpenScreen(ctx context.Context, req *hostv1.OpenScreenRequest) (*hostv1.OpenScreenResponse, error) {
	in, err := s.findIntegration(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	address, until, err := s.deps.Screens.Open(ctx, in, ScreenRequest{Call: req.GetCallId(), Agent: req.GetAgent(), Origin: req.GetOrigin()})
	if err != nil {
		return nil, err
	}
	return &hostv1.OpenScreenResponse{Url: address, ExpiresAt: timestamppb.New(until)}, nil
}

// CloseScreens ends screens.
func (s *screenService) CloseScreens(ctx context.Context, req *hostv1.CloseScreensRequest) (*hostv1.CloseScreensResponse, error) {
	in, err := s.findIntegration(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	n := s.deps.Screens.Close(in, req.GetCallId(), req.GetAgent())
	return &hostv1.CloseScreensResponse{Closed: uint32(min(n, 1<<20))}, nil //nolint:gosec // there are thousands at most
}
