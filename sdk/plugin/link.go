package plugin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// hostStream is the plugin's side of HostLink.
type hostStream interface {
	Send(*pluginv1.HostLinkResponse) error
	Recv() (*pluginv1.HostLinkRequest, error)
	Context() context.Context
}

// link carries what the calls of a process ask of the host.
type link struct {
	asks chan struct{} // a place for each ask of the process

	mu       sync.Mutex // guards what follows
	stream   hostStream // nil while there is none
	attached chan struct{}
	next     uint64
	waiting  map[uint64]pending

	send sync.Mutex // one Send at a time
}

// pending is an ask that the host has not answered. Its places are given back
// then, not when the asker gives up, so that both sides count alike.
type pending struct {
	answer chan *pluginv1.HostLinkRequest // of one
	give   func()
}

func newLink() *link {
	return &link{
		asks:     make(chan struct{}, asksPerProcess),
		attached: make(chan struct{}),
		waiting:  map[uint64]pending{},
	}
}

// serve hands the host's answers to those who wait, until the stream ends.
func (l *link) serve(stream hostStream) error {
	l.mu.Lock()
	if l.stream != nil {
		l.mu.Unlock()
		return status.Error(codes.AlreadyExists, "the host link is open already")
	}
	l.stream = stream
	close(l.attached)
	l.mu.Unlock()
	defer l.detach()
	for {
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		if p, ok := l.take(answer.GetId()); ok {
			p.give()
			p.answer <- answer
		}
	}
}

func (l *link) detach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream, l.attached = nil, make(chan struct{})
	for _, p := range l.waiting {
		p.give()
		close(p.answer)
	}
	clear(l.waiting)
}

// ask sends what and waits for the answer. It runs give once.
func (l *link) ask(ctx context.Context, what *pluginv1.HostLinkResponse, give func()) (*pluginv1.HostLinkRequest, error) {
	p := pending{answer: make(chan *pluginv1.HostLinkRequest, 1), give: give}
	stream, err := l.put(ctx, what, p)
	if err != nil {
		give()
		return nil, err
	}
	if err := l.write(stream, what); err != nil {
		if p, ok := l.take(what.GetId()); ok {
			p.give()
		}
		return nil, errLink()
	}
	select {
	case answer, ok := <-p.answer:
		if !ok {
			return nil, errLink()
		}
		return answer, hostError(answer.GetError())
	case <-ctx.Done():
		_ = l.write(stream, &pluginv1.HostLinkResponse{Token: what.GetToken(), Ask: &pluginv1.HostLinkResponse_Cancel{Cancel: what.GetId()}})
		return nil, context.Cause(ctx)
	}
}

// put numbers what and keeps p for its answer.
func (l *link) put(ctx context.Context, what *pluginv1.HostLinkResponse, p pending) (hostStream, error) {
	if size := proto.Size(what); size > maxLinkMessage-64 {
		return nil, &sdk.Error{Class: sdk.ClassSystem, Code: codeTooLarge, Message: fmt.Sprintf("a request to the host has %d bytes, %d are allowed", size, maxLinkMessage-64)}
	}
	stream, err := l.wait(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != stream {
		return nil, errLink()
	}
	l.next++
	what.Id = l.next
	l.waiting[l.next] = p
	return stream, nil
}

// tell sends what is not answered. It is dropped while there is no link.
func (l *link) tell(what *pluginv1.HostLinkResponse) bool {
	l.mu.Lock()
	stream := l.stream
	l.mu.Unlock()
	return stream != nil && l.write(stream, what) == nil
}

func (l *link) write(stream hostStream, what *pluginv1.HostLinkResponse) error {
	l.send.Lock()
	defer l.send.Unlock()
	return stream.Send(what)
}

// take removes and returns what waits for the answer id.
func (l *link) take(id uint64) (pending, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.waiting[id]
	delete(l.waiting, id)
	return p, ok
}

// wait returns the stream, for which it waits a moment: the host opens it right
// after the process started.
func (l *link) wait(ctx context.Context) (hostStream, error) {
	l.mu.Lock()
	stream, attached := l.stream, l.attached
	l.mu.Unlock()
	if stream != nil {
		return stream, nil
	}
	timer := time.NewTimer(linkWait)
	defer timer.Stop()
	select {
	case <-attached:
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.stream == nil {
			return nil, errLink()
		}
		return l.stream, nil
	case <-timer.C:
		return nil, sdk.ErrNoHost
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func errLink() error {
	return &sdk.Error{Class: sdk.ClassSystem, Code: "link_lost", Message: "the link with the host is gone"}
}

// hostError turns what the host answered into the error that an author meets.
func hostError(p *pluginv1.Error) error {
	switch {
	case p == nil:
		return nil
	case p.GetCode() == codeNoCredential:
		return sdk.ErrNoCredential
	case p.GetCode() == codeNoHost:
		return sdk.ErrNoHost
	default:
		return errorFromProto(p)
	}
}

// hostErrorToProto is the way back of hostError.
func hostErrorToProto(err error) *pluginv1.Error {
	switch {
	case errors.Is(err, sdk.ErrNoCredential):
		return &pluginv1.Error{Class: pluginv1.ErrorClass_ERROR_CLASS_SYSTEM, Code: codeNoCredential, Message: err.Error()}
	case errors.Is(err, sdk.ErrNoHost):
		return &pluginv1.Error{Class: pluginv1.ErrorClass_ERROR_CLASS_SYSTEM, Code: codeNoHost, Message: err.Error()}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &pluginv1.Error{Class: pluginv1.ErrorClass_ERROR_CLASS_TRANSIENT, Code: codeCallEnded, Message: "the call has ended"}
	default:
		return errorToProto(sdk.AsError(err))
	}
}
