package sdk

import (
	"errors"
	"fmt"
	"time"
)

// Class drives what the host does about an error.
type Class string

// The classes of errors.
const (
	ClassConfig      Class = "config"       // the settings are wrong: no retry
	ClassAuth        Class = "auth"         // the remote system refuses the credentials: no retry
	ClassTransient   Class = "transient"    // try again later
	ClassRateLimited Class = "rate_limited" // wait; costs no attempt
	ClassRemote      Class = "remote"       // the remote system answered nonsense or refused: retried
	ClassSystem      Class = "system"       // the plugin or the host is broken: retried
)

// Error is an error that crosses the wire whole. Any other error crosses as
// ClassSystem with its text.
type Error struct {
	Class   Class
	Code    string // a short word that documentation explains, such as "channel_not_found"
	Message string // for a person, at most 1 KiB
	Limit   *RateLimit
	// Safe promises that the failed call changed nothing at the remote system. Of a hook
	// that writes, any error without it but one of ClassConfig counts as unknown: even a
	// 401 or a 429 may be that of a later request, after one that wrote. What is unknown
	// is not sent again by itself; HookLookup is asked about it, or a person.
	Safe bool
	// AbortStream ends the stream in error at once, without another attempt.
	AbortStream bool
	// AbortRun ends the whole run, not the stream alone.
	AbortRun bool
	// Details go with the failure, for people and programs: 16 at most, a name of
	// 64 bytes and a value of 1 KiB. They hold no secret.
	Details map[string]string
	// Request is what is known of the request that failed, if it was one.
	Request *RequestFacts
	Cause   error // stays on its side of the wire
}

// Error returns the message with its code.
func (e *Error) Error() string {
	msg := e.Message
	if msg == "" && e.Cause != nil {
		msg = e.Cause.Error()
	}
	if e.Code == "" {
		return msg
	}
	return fmt.Sprintf("%s: %s", e.Code, msg)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// AbortStream returns an error that ends the stream at once, without another attempt.
func AbortStream(code, message string, details map[string]string) *Error {
	return &Error{Class: ClassRemote, Code: code, Message: message, AbortStream: true, Details: details}
}

// AbortRun returns an error that ends the whole run.
func AbortRun(code, message string, details map[string]string) *Error {
	return &Error{Class: ClassRemote, Code: code, Message: message, AbortRun: true, Details: details}
}

// Permanent reports whether trying again cannot help.
func (e *Error) Permanent() bool { return e.Class == ClassConfig || e.Class == ClassAuth }

// RateLimitedFor says that the remote system wants no calls for the duration.
func RateLimitedFor(after time.Duration) *Error {
	return &Error{Class: ClassRateLimited, Code: "rate_limited", Message: "the remote system asks to wait", Limit: &RateLimit{After: after}}
}

// RateLimitedUntil says that the remote system wants no calls until then.
func RateLimitedUntil(until time.Time) *Error {
	return &Error{Class: ClassRateLimited, Code: "rate_limited", Message: "the remote system asks to wait", Limit: &RateLimit{Until: until}}
}

// AsError returns err as *Error, wrapping what is none as ClassSystem. It
// returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Class: ClassSystem, Code: "plugin_error", Message: err.Error(), Cause: err}
}
