package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// Kind says what an error means to the caller.
type Kind string

// The kinds of errors, as they stand in ErrorInfo.code.
const (
	KindNotFound        Kind = "not_found"
	KindInvalid         Kind = "invalid"
	KindConflict        Kind = "conflict"
	KindDenied          Kind = "denied"
	KindUnauthenticated Kind = "unauthenticated"
	KindLimit           Kind = "limit"
	KindFull            Kind = "full" // the disk is
	KindExpired         Kind = "position_expired"
	KindUnavailable     Kind = "unavailable"
	KindInternal        Kind = "internal"
)

// Error is an error as the caller sees it.
type Error struct {
	Kind    Kind
	Message string
	Hint    string
	Fields  []FieldError // of the request that are wrong
}

// FieldError is what is wrong with a field of a request.
type FieldError struct {
	Field   string // its path, such as event.direction
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func errStopping() error {
	return &Error{Kind: KindUnavailable, Message: "the daemon is stopping", Hint: "start it again: jackfield serve"}
}

func notFound(what, name, hint string) error {
	return &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no %s %q", what, name), Hint: hint}
}

func invalid(hint, format string, args ...any) error {
	return &Error{Kind: KindInvalid, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// answerUnary turns what a handler returns into what the caller may know. A
// handler that panics fails alone.
func (s *Server) answerUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if r := recover(); r != nil {
			resp, err = nil, s.panicked(info.FullMethod, r)
		}
	}()
	resp, err = handle(ctx, req)
	if err != nil {
		return nil, s.answer(ctx, info.FullMethod, err)
	}
	return resp, nil
}

func (s *Server) answerStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = s.panicked(info.FullMethod, r)
		}
	}()
	if err := handle(srv, stream); err != nil {
		return s.answer(stream.Context(), info.FullMethod, err)
	}
	return nil
}

func (s *Server) panicked(method string, r any) error {
	id := errorID()
	s.log.Error("a handler panicked", "method", method, "id", id, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	return internal(id)
}

// answer is the one place where an error of the host becomes one of gRPC. What
// it does not know is logged whole and shown as a number.
func (s *Server) answer(ctx context.Context, method string, err error) error {
	if ctx.Err() != nil { // the caller went or was out of time: nobody reads the rest
		return status.FromContextError(ctx.Err()).Err()
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return s.status(e)
	}
	kind := kindOf(err)
	if kind == KindInternal {
		id := errorID()
		s.log.Error("a call failed", "method", method, "id", id, "error", err)
		return internal(id)
	}
	e := &Error{Kind: kind, Message: err.Error()}
	if h, ok := errors.AsType[*store.HintError](err); ok {
		e.Message, e.Hint = strings.Replace(e.Message, " (hint: "+h.Hint+")", "", 1), h.Hint
	}
	return s.status(e)
}

func (s *Server) status(e *Error) error {
	info := &hostv1.ErrorInfo{Code: string(e.Kind), Hint: s.opts.Redact(e.Hint)}
	for _, f := range e.Fields {
		info.Fields = append(info.Fields, &hostv1.FieldError{Field: f.Field, Message: s.opts.Redact(f.Message)})
	}
	st, err := status.New(codeOf(e.Kind), s.opts.Redact(e.Message)).WithDetails(info)
	if err != nil {
		return status.Error(codeOf(e.Kind), s.opts.Redact(e.Message))
	}
	return st.Err()
}

func internal(id string) error {
	st := status.New(codes.Internal, "internal error "+id)
	if detailed, err := st.WithDetails(&hostv1.ErrorInfo{
		Code: string(KindInternal), Id: id, Hint: "the daemon's log has it whole: look for " + id,
	}); err == nil {
		st = detailed
	}
	return st.Err()
}

func errorID() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func kindOf(err error) Kind {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return KindNotFound
	case errors.Is(err, store.ErrInvalid):
		return KindInvalid
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrStale):
		return KindConflict
	case errors.Is(err, store.ErrLimit):
		return KindLimit
	case errors.Is(err, store.ErrPositionExpired):
		return KindExpired
	case errors.Is(err, store.ErrFull):
		return KindFull
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrLocked), errors.Is(err, store.ErrDamaged):
		return KindUnavailable
	default:
		return KindInternal
	}
}

func codeOf(kind Kind) codes.Code {
	switch kind {
	case KindNotFound:
		return codes.NotFound
	case KindInvalid:
		return codes.InvalidArgument
	case KindConflict:
		return codes.FailedPrecondition
	case KindDenied:
		return codes.PermissionDenied
	case KindUnauthenticated:
		return codes.Unauthenticated
	case KindLimit, KindFull:
		return codes.ResourceExhausted
	case KindExpired:
		return codes.OutOfRange
	case KindUnavailable:
		return codes.Unavailable
	default:
		return codes.Internal
	}
}
