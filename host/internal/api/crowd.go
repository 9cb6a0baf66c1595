package api

import (
	"fmt"
	"net"
	"sync"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// crowd is a listener that takes no more connections than it has places. Who comes
// then waits in the system's queue until somebody goes: a connection takes one of
// the open files that the daemon needs for its work.
type crowd struct {
	*listener
	places chan struct{}
	quit   chan struct{}
	once   sync.Once
}

func newCrowd(l *listener, places chan struct{}) *crowd {
	return &crowd{listener: l, places: places, quit: make(chan struct{})}
}

// Accept waits for a place, then for a connection.
func (c *crowd) Accept() (net.Conn, error) {
	select {
	case c.places <- struct{}{}:
	case <-c.quit:
		return nil, net.ErrClosed
	}
	conn, err := c.AcceptUnix()
	if err != nil {
		<-c.places
		return nil, err
	}
	return &seated{UnixConn: conn, leave: sync.OnceFunc(func() { <-c.places })}, nil
}

// Close ends a waiting Accept, too.
func (c *crowd) Close() error {
	c.once.Do(func() { close(c.quit) })
	return c.listener.Close()
}

// seated is a connection that has a place.
type seated struct {
	*net.UnixConn
	leave func()
}

// Close gives the place back.
func (s *seated) Close() error {
	defer s.leave()
	return s.UnixConn.Close()
}

// crowded says why nothing new is done for callers, or returns nil: four fifths of
// the places are taken. The rest is for the one who asks what is going on.
func (s *Server) crowded() *Error {
	taken, most := len(s.crowd), cap(s.crowd)
	if taken <= most*4/5 {
		return nil
	}
	return &Error{
		Kind: KindLimit, Message: fmt.Sprintf("%d of %d connections to the API are taken", taken, most),
		Hint: "end what holds them; their number follows the limit of open files (ulimit -n)",
	}
}

// admit refuses a call while there are too many callers.
func (s *Server) admit(method string) error {
	if method == hostv1.StatusService_GetStatus_FullMethodName {
		return nil
	}
	if e := s.crowded(); e != nil {
		return e
	}
	return nil
}
