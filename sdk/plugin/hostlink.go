package plugin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// Link answers what the plugin asks of the host, with the sdk.Host that was in
// the context of the call that asks. It blocks until ctx ends or the link is
// lost; either way it then cancels every call of the process, and returns when
// all that it started has ended.
func (c *Client) Link(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := c.rpc.HostLink(ctx, grpc.MaxCallRecvMsgSize(maxLinkMessage))
	if err != nil {
		return c.linkLost(ctx, err)
	}
	c.calls.found()
	l := &hostLink{calls: &c.calls, forged: c.forged, stream: stream, asks: make(chan struct{}, asksPerProcess), cancels: map[uint64]context.CancelFunc{}}
	for {
		what, err := stream.Recv()
		if err != nil {
			err = c.linkLost(ctx, err)
			cancel(err)
			l.wg.Wait()
			return err
		}
		l.handle(what) //nolint:contextcheck // what is asked ends with the call that asks
	}
}

func (c *Client) linkLost(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil {
		cause = fmt.Errorf("%w: host link: %s", ErrLost, cut(err.Error()))
	}
	c.calls.lose(fmt.Errorf("%w: %w", ErrLost, cause))
	return cause
}

// hostLink is the host's side of one link.
type hostLink struct {
	calls  *calls
	forged func()
	stream grpc.BidiStreamingClient[pluginv1.HostLinkRequest, pluginv1.HostLinkResponse]
	asks   chan struct{}
	wg     sync.WaitGroup

	send sync.Mutex // one Send at a time

	mu      sync.Mutex // guards cancels
	cancels map[uint64]context.CancelFunc
}

// handle answers what, in a goroutine of its own if it may take time.
func (l *hostLink) handle(what *pluginv1.HostLinkResponse) {
	if id := what.GetCancel(); id != 0 {
		l.mu.Lock()
		cancel := l.cancels[id]
		l.mu.Unlock()
		if cancel != nil {
			cancel()
		}
		return
	}
	of := l.calls.find(what.GetToken())
	if of == nil && l.calls.forged(what.GetToken()) {
		l.forged()
	}
	if id := what.GetSlotRelease(); id != 0 {
		if of != nil {
			of.freeSlot(id)
		}
		return
	}
	if line := what.GetLog(); line != nil {
		if of != nil {
			of.host.Log(sdk.LogLevel(line.GetLevel()), line.GetMessage(), argsOf(line.GetFields())...)
		}
		return
	}
	if of == nil {
		l.refuse(what, sdk.ClassSystem, codeCallEnded, "the call has ended")
		return
	}
	places := []chan struct{}{of.asks, l.asks}
	if what.GetCredentialCommit() != nil {
		places = []chan struct{}{of.commits}
	}
	give, ok := tryTake(places...)
	if !ok {
		l.refuse(what, sdk.ClassTransient, codeTooMany, fmt.Sprintf("%d requests of a call and %d of a process are answered at once", asksPerCall, asksPerProcess))
		return
	}
	ctx, cancel := context.WithCancel(of.ctx)
	l.mu.Lock()
	l.cancels[what.GetId()] = cancel
	l.mu.Unlock()
	l.wg.Go(func() {
		answer := respond(ctx, of, what)
		l.mu.Lock()
		delete(l.cancels, what.GetId())
		l.mu.Unlock()
		cancel()
		give() // before the answer, which lets the plugin ask anew
		l.answer(what, answer)
	})
}

// tryTake is take for one who does not wait.
func tryTake(places ...chan struct{}) (func(), bool) {
	for i, p := range places {
		select {
		case p <- struct{}{}:
		default:
			for _, taken := range places[:i] {
				<-taken
			}
			return nil, false
		}
	}
	return func() {
		for _, p := range places {
			<-p
		}
	}, true
}

func (l *hostLink) refuse(what *pluginv1.HostLinkResponse, class sdk.Class, code, message string) {
	l.answer(what, &pluginv1.HostLinkRequest{Error: errorToProto(&sdk.Error{Class: class, Code: code, Message: message})})
}

func (l *hostLink) answer(what *pluginv1.HostLinkResponse, answer *pluginv1.HostLinkRequest) {
	answer.Id = what.GetId()
	l.send.Lock()
	defer l.send.Unlock()
	_ = l.stream.Send(answer) // an error ends Recv too
}

// respond asks the host of the call what is asked.
func respond(ctx context.Context, of *call, what *pluginv1.HostLinkResponse) *pluginv1.HostLinkRequest {
	var (
		answer = &pluginv1.HostLinkRequest{Answer: &pluginv1.HostLinkRequest_Done{Done: &pluginv1.Done{}}}
		host   = of.host
		cred   sdk.Credential
		err    error
	)
	switch ask := what.GetAsk().(type) {
	case *pluginv1.HostLinkResponse_CredentialGet:
		a := ask.CredentialGet
		cred, err = host.Credential(ctx, a.GetName(), a.GetMinVersion())
		answer.Answer = &pluginv1.HostLinkRequest_Credential{Credential: credentialToProto(cred, false)}
	case *pluginv1.HostLinkResponse_CredentialBeginRefresh:
		var granted bool
		a := ask.CredentialBeginRefresh
		cred, granted, err = host.BeginRefresh(ctx, a.GetName(), a.GetVersion())
		answer.Answer = &pluginv1.HostLinkRequest_Credential{Credential: credentialToProto(cred, granted)}
	case *pluginv1.HostLinkResponse_CredentialCommit:
		a := ask.CredentialCommit
		cred, err = host.CommitCredential(ctx, a.GetName(), a.GetVersion(), sdk.NewSecret(string(a.GetToken())), timeFromProto(a.GetExpires()))
		answer.Answer = &pluginv1.HostLinkRequest_Credential{Credential: credentialToProto(cred, false)}
	case *pluginv1.HostLinkResponse_CacheGet:
		a := ask.CacheGet
		value, ok, getErr := host.CacheGet(ctx, sdk.CacheScope(a.GetScope()), a.GetKey())
		if err = getErr; ok && value == nil {
			value = []byte{}
		}
		if !ok {
			value = nil
		}
		answer.Answer = &pluginv1.HostLinkRequest_CacheValue{CacheValue: &pluginv1.CacheValue{Value: value}}
	case *pluginv1.HostLinkResponse_CachePut:
		a := ask.CachePut
		if len(a.GetValue()) > maxCacheValue {
			err = &sdk.Error{Class: sdk.ClassSystem, Code: "cache_value_too_large", Message: fmt.Sprintf("%d bytes, %d are allowed", len(a.GetValue()), maxCacheValue)}
			break
		}
		err = host.CachePut(ctx, sdk.CacheScope(a.GetScope()), a.GetKey(), a.GetValue(), a.GetTtl().AsDuration())
	case *pluginv1.HostLinkResponse_Limit:
		a := ask.Limit
		err = host.Limit(ctx, sdk.Bucket{Scope: sdk.CacheScope(a.GetScope()), Key: a.GetKey(), Max: int(a.GetMax()), Window: a.GetWindow().AsDuration()})
	case *pluginv1.HostLinkResponse_Slot:
		var release func()
		a := ask.Slot
		if release, err = host.Slot(ctx, sdk.CacheScope(a.GetScope()), a.GetKey(), int(a.GetMax())); err == nil {
			of.keepSlot(what.GetId(), release)
		}
	case *pluginv1.HostLinkResponse_Pick:
		var key string
		key, err = host.Pick(ctx, ask.Pick.GetKeys())
		answer.Answer = &pluginv1.HostLinkRequest_Picked{Picked: &pluginv1.Picked{Key: key}}
	case *pluginv1.HostLinkResponse_EndpointCall:
		var result *pluginv1.EndpointResult
		result, err = callEndpoint(ctx, host, ask.EndpointCall)
		answer.Answer = &pluginv1.HostLinkRequest_EndpointResult{EndpointResult: result}
	case *pluginv1.HostLinkResponse_Progress:
		a := ask.Progress
		err = host.Progress(ctx, a.GetWhat(), timeFromProto(a.GetUntil()))
	default:
		err = &sdk.Error{Class: sdk.ClassSystem, Code: codeNotSupported, Message: "this host does not know the request"}
	}
	if err != nil {
		return &pluginv1.HostLinkRequest{Error: hostErrorToProto(err)}
	}
	return answer
}

func argsOf(fields map[string]string) []any {
	args := make([]any, 0, 2*len(fields))
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		args = append(args, key, fields[key])
	}
	return args
}
