package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// Errors of a Client that the plugin did not report.
var (
	// ErrLost means that the process, or the link with it, is gone: the call had
	// no outcome.
	ErrLost = errors.New("the plugin process is gone")
	// ErrReopen means that the process does not know the handle: Open again. It
	// is no failure.
	ErrReopen = errors.New("the plugin does not know this handle")
)

// Codes of errors that this package makes itself.
const (
	codeReopen       = "reopen"
	codePanic        = "plugin_panic"
	codeTooLarge     = "message_too_large"
	codeNotSupported = "not_supported"
	codeFaulty       = "plugin_faulty"
	codeBadAnswer    = "plugin_protocol"
	codeCallEnded    = "call_ended"
	codeTooMany      = "too_many_requests"
	codeNoCredential = "no_credential" //nolint:gosec // a word, not a credential
	codeNoHost       = "no_host"
)

func errorToProto(e *sdk.Error) *pluginv1.Error {
	message := e.Message
	if message == "" && e.Cause != nil {
		message = e.Cause.Error()
	}
	return &pluginv1.Error{
		Class:    classToProto(e.Class),
		Code:     cut(e.Code),
		Message:  cut(message),
		Limit:    limitToProto(e.Limit),
		Safe:     e.Safe,
		AbortRun: e.AbortRun,
		Request:  requestToProto(e.Request),

		AbortStream: e.AbortStream,
		Details:     cutDetails(e.Details),
	}
}

func errorFromProto(p *pluginv1.Error) *sdk.Error {
	return &sdk.Error{
		Class:    classFromProto(p.GetClass()),
		Code:     p.GetCode(),
		Message:  cut(p.GetMessage()),
		Limit:    limitFromProto(p.GetLimit()),
		Safe:     p.GetSafe(),
		AbortRun: p.GetAbortRun(),
		Request:  requestFromProto(p.GetRequest()),

		AbortStream: p.GetAbortStream(),
		Details:     cutDetails(p.GetDetails()),
	}
}

// maxDetails is how many details go with an error.
const maxDetails = 16

// cutDetails returns the first details by name, cut to what crosses the wire.
func cutDetails(details map[string]string) map[string]string {
	if len(details) == 0 {
		return nil
	}
	out := make(map[string]string, min(len(details), maxDetails))
	for _, name := range slices.Sorted(maps.Keys(details)) {
		if len(out) == maxDetails {
			break
		}
		out[cut(name)] = cut(details[name])
	}
	return out
}

func requestToProto(r *sdk.RequestFacts) *pluginv1.RequestFacts {
	if r == nil {
		return nil
	}
	return &pluginv1.RequestFacts{
		Method:   cut(r.Method),
		Url:      cut(r.URL),
		Status:   int32(min(max(r.Status, 0), math.MaxInt32)),
		Duration: durationToProto(r.Duration),
		Host:     cut(r.Host),
	}
}

func requestFromProto(p *pluginv1.RequestFacts) *sdk.RequestFacts {
	if p == nil {
		return nil
	}
	return &sdk.RequestFacts{
		Method: cut(p.GetMethod()), URL: cut(p.GetUrl()), Status: int(p.GetStatus()), Duration: p.GetDuration().AsDuration(), Host: cut(p.GetHost()),
	}
}

func classToProto(c sdk.Class) pluginv1.ErrorClass {
	switch c {
	case sdk.ClassConfig:
		return pluginv1.ErrorClass_ERROR_CLASS_CONFIG
	case sdk.ClassAuth:
		return pluginv1.ErrorClass_ERROR_CLASS_AUTH
	case sdk.ClassTransient:
		return pluginv1.ErrorClass_ERROR_CLASS_TRANSIENT
	case sdk.ClassRateLimited:
		return pluginv1.ErrorClass_ERROR_CLASS_RATE_LIMITED
	case sdk.ClassRemote:
		return pluginv1.ErrorClass_ERROR_CLASS_REMOTE
	default:
		return pluginv1.ErrorClass_ERROR_CLASS_SYSTEM
	}
}

func classFromProto(c pluginv1.ErrorClass) sdk.Class {
	switch c {
	case pluginv1.ErrorClass_ERROR_CLASS_CONFIG:
		return sdk.ClassConfig
	case pluginv1.ErrorClass_ERROR_CLASS_AUTH:
		return sdk.ClassAuth
	case pluginv1.ErrorClass_ERROR_CLASS_TRANSIENT:
		return sdk.ClassTransient
	case pluginv1.ErrorClass_ERROR_CLASS_RATE_LIMITED:
		return sdk.ClassRateLimited
	case pluginv1.ErrorClass_ERROR_CLASS_REMOTE:
		return sdk.ClassRemote
	default:
		return sdk.ClassSystem
	}
}

// statusOf returns err as what a handler answers. An error that came of the
// call's own end says so.
func statusOf(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*sdk.Error](err); !ok && ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	return statusWith(codes.Unknown, sdk.AsError(err))
}

func statusWith(code codes.Code, e *sdk.Error) error {
	st, err := status.New(code, cut(e.Error())).WithDetails(errorToProto(e))
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return st.Err()
}

// errorOf returns what a call's error means to the host: an *sdk.Error that the
// plugin reported or that this package makes of a broken answer, ErrLost,
// ErrReopen, or the end of ctx.
func errorOf(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return badAnswer("the call ended without an outcome")
	}
	st, ok := status.FromError(err)
	if !ok {
		return err // of the host's own sink
	}
	for _, detail := range st.Details() {
		if e, ok := detail.(*pluginv1.Error); ok {
			if e.GetCode() == codeReopen && st.Code() == codes.FailedPrecondition {
				return ErrReopen
			}
			if e.GetCode() == codeCallEnded && ctx.Err() != nil {
				return context.Cause(ctx) // this side ended the call, and the plugin heard of it as an answer first
			}
			return errorFromProto(e)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch st.Code() {
	case codes.Unavailable, codes.Canceled: // Canceled: this side closed the connection
		return fmt.Errorf("%w: %s", ErrLost, cut(st.Message()))
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.ResourceExhausted:
		return &sdk.Error{Class: sdk.ClassSystem, Code: codeTooLarge, Message: cut(st.Message())}
	case codes.Unimplemented:
		return &sdk.Error{Class: sdk.ClassSystem, Code: codeNotSupported, Message: cut(st.Message())}
	default:
		return &sdk.Error{Class: sdk.ClassSystem, Code: "plugin_error", Message: cut(st.Message())}
	}
}

func badAnswer(message string) error {
	return &sdk.Error{Class: sdk.ClassSystem, Code: codeBadAnswer, Message: message}
}
