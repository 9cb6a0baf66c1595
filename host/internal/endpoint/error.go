package endpoint

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

const (
	classConfig      = sdk.ClassConfig
	classAuth        = sdk.ClassAuth
	classTransient   = sdk.ClassTransient
	classRateLimited = sdk.ClassRateLimited
	classRemote      = sdk.ClassRemote
)

// The codes of errors.
const (
	codeMissing        = "missing_value"
	codeExpression     = "expression_failed"
	codeBadValue       = "bad_value"
	codeBadURL         = "bad_url"
	codeTooLarge       = "too_large"
	codeNoHost         = "no_host"
	codeNoConnect      = "no_connect"
	codeNoToken        = "no_token"
	codePlainHTTP      = "plain_http"
	codeAuthEndpoint   = "auth_endpoint"
	codeUnreachable    = "unreachable"
	codeRefusedHost    = "egress_refused"
	codeTimeout        = "timeout"
	codeCancelled      = "cancelled"
	codeAnswerTooLarge = "answer_too_large"
	codeBadAnswer      = "bad_answer"
	codeRefused        = "refused"
	codeRateLimited    = "rate_limited"
	codeRedirect       = "redirect"
	codeTokenRefused   = "token_refused"
	codeReconnect      = "needs_reconnect"
	codeInvalidGrant   = "invalid_grant"
	codeCircuitOpen    = "circuit_open"
	codeBusy           = "busy"
)

// Outcome says what is known of a request that failed.
type Outcome string

// The outcomes.
const (
	OutcomeNotSent Outcome = "not_sent" // it never left: it may be sent again
	OutcomeFailed  Outcome = "failed"   // the remote system refused it
	OutcomeUnknown Outcome = "unknown"  // it may have arrived: nobody may send it again blindly
)

// Error is why a call failed.
type Error struct {
	Class      sdk.Class
	Code       string
	Message    string
	Hint       string
	Outcome    Outcome // empty: not_sent
	Status     int     // of HTTP; 0: there was no answer
	Body       string  // what the remote system said, at most 4 KiB
	RetryAfter time.Duration
	Fields     map[string]string // what is wrong with single fields, in the remote system's words
	Missing    []string          // values that are required
	Cause      error
}

// Error returns the message with its code.
func (e *Error) Error() string {
	text := e.Message
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	if e.Hint != "" {
		text += " (hint: " + e.Hint + ")"
	}
	return e.Code + ": " + text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Sent reports whether the request may have arrived.
func (e *Error) Sent() bool { return e.Outcome == OutcomeFailed || e.Outcome == OutcomeUnknown }

// known returns an error with what is known of the request that it belongs to: err
// itself may be of reading the answer, or of a request before it, and is left as it
// is, for others may have it too. A status of 0 leaves that of err.
func known(err error, outcome Outcome, status int) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	out := *e
	out.Outcome = outcome
	if status != 0 {
		out.Status = status
	}
	return &out
}

func configError(code, format string, args ...any) *Error {
	return &Error{Class: classConfig, Code: code, Message: fmt.Sprintf(format, args...), Outcome: OutcomeNotSent}
}
