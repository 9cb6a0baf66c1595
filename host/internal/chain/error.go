package chain

import (
	"context"
	"errors"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// Outcome says what is known of a request that failed.
type Outcome string

// The outcomes.
const (
	NotSent Outcome = "not_sent" // it surely did not arrive: it may be sent again
	Failed  Outcome = "failed"   // it surely arrived, and was refused
	Unknown Outcome = "unknown"  // nobody knows: it must not be sent again blindly
)

// The codes of this package's own errors.
const (
	codeDeadline = "deadline"
	codeCanceled = "cancelled"
	codeNoList   = "no_list"
)

// Error is why a flow stopped.
type Error struct {
	Step       string // the step's name, or the endpoint of a trigger
	Endpoint   string
	Class      sdk.Class
	Code       string
	Message    string
	Hint       string
	Outcome    Outcome
	Status     int // of HTTP; 0: there was no answer
	RetryAfter time.Duration
	Fields     map[string]string // what the remote system does not accept, field by field
	Cause      error
}

// Error returns the message with its step and code.
func (e *Error) Error() string {
	text := e.Code + ": " + e.Message
	if e.Step != "" {
		text = "step " + e.Step + ": " + text
	}
	if e.Hint != "" {
		text += " (hint: " + e.Hint + ")"
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Timeout reports whether there was too little time.
func (e *Error) Timeout() bool { return e.Code == codeDeadline || e.Code == "timeout" }

// Again reports whether the same flow may be run again: nothing that is unknown was
// written, and another time may go better.
func (e *Error) Again() bool {
	return e.Outcome == NotSent && e.Class != sdk.ClassConfig ||
		e.Outcome == Failed && (e.Class == sdk.ClassTransient || e.Class == sdk.ClassRateLimited)
}

// failure makes an error of a step what this package returns. A step that reads
// leaves nothing unknown.
func failure(ctx context.Context, s Step, err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if ok {
		copied := *e
		e = &copied
	} else {
		e = &Error{Class: sdk.ClassSystem, Code: "internal", Message: err.Error(), Outcome: NotSent, Cause: err}
		if ctx.Err() != nil {
			*e = *ended(ctx)
		}
	}
	e.Step, e.Endpoint = s.Name, s.Endpoint
	if e.Step == "" {
		e.Step = s.Endpoint
	}
	if e.Outcome == "" {
		e.Outcome = NotSent
	}
	if s.Reads && e.Outcome == Unknown {
		e.Outcome = NotSent
	}
	return e
}

// ended says why there is no more time.
func ended(ctx context.Context) *Error {
	e := &Error{Class: sdk.ClassTransient, Code: codeDeadline, Message: "there was no more time", Outcome: NotSent, Cause: context.Cause(ctx)}
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Code, e.Message = codeCanceled, "the call of the hook was cancelled"
	}
	return e
}

// worse returns the error of two that says less about what was written.
func worse(a, b *Error) *Error {
	if a == nil || b != nil && b.Outcome == Unknown && a.Outcome != Unknown {
		return b
	}
	return a
}
