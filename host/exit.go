package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/config"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1   // it was tried and did not work
	exitUsage       = 2   // the command line or the configuration is wrong
	exitEnvironment = 3   // no daemon, no disk, wrong modes
	exitDenied      = 4   // the daemon refuses the token or the peer
	exitInterrupted = 130 // by a signal
)

var errInterrupted = errors.New("interrupted")

// exitError is an error as a person reads it, and the code to exit with. Without
// err the command has said everything already.
type exitError struct {
	code    int
	err     error
	hint    string
	unknown bool // it names something that there is not
}

// Error returns the message without the hint.
func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

// Unwrap returns the cause.
func (e *exitError) Unwrap() error { return e.err }

// usageError says that the command line or the configuration is wrong.
func usageError(err error, hint string) error {
	return &exitError{code: exitUsage, err: err, hint: hint}
}

// environmentError says that something around the program is not as it must be.
func environmentError(err error, hint string) error {
	return &exitError{code: exitEnvironment, err: err, hint: hint}
}

// failed says that something was tried and did not work.
func failed(err error, hint string) error {
	return &exitError{code: exitFailed, err: err, hint: hint}
}

// silent exits with code and no further word: the result says it.
func silent(code int) error { return &exitError{code: code} }

// exitCode returns the code that err stands for.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[config.Problems](err); ok {
		return exitUsage
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, store.ErrLocked), errors.Is(err, store.ErrNewerSchema), errors.Is(err, store.ErrFull), errors.Is(err, store.ErrDamaged):
		return exitEnvironment
	case errors.Is(err, store.ErrInvalid):
		return exitUsage
	default:
		return exitFailed
	}
}

// report tells stderr what went wrong and how to cure it.
func (c *cli) report(err error) {
	if err == nil {
		return
	}
	e, ok := errors.AsType[*exitError](err)
	if ok && (e.err == nil || errors.Is(e.err, errInterrupted)) {
		return // the result says it, or the person knows
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		_ = problems.Render(c.stderr, !c.noColor && isTerminal(c.stderr))
		return
	}
	hint := ""
	if ok {
		err, hint = e.err, e.hint
	}
	for _, err := range flat(err) {
		text, inner := splitHint(err.Error())
		fmt.Fprintf(c.stderr, "%s %s\n", c.color(colorRed, "error:"), cleanLines(text))
		if advice := orElse(hint, inner); advice != "" {
			fmt.Fprintf(c.stderr, "%s %s\n", c.color(colorBold, "hint:"), cleanLines(advice))
		}
	}
}

// flat returns the errors that err joins, or err itself.
func flat(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error }) // a join further down has a message of its own
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flat(e)...)
	}
	return out
}

// splitHint takes the advice out of an error's text, where it stands in
// parentheses (store.Hint).
func splitHint(text string) (rest, hint string) {
	const mark = " (hint: "
	rest, hint, ok := strings.Cut(text, mark)
	if !ok {
		return text, ""
	}
	end := strings.LastIndexByte(hint, ')')
	if end < 0 {
		return text, ""
	}
	return rest + hint[end+1:], hint[:end]
}

// remoteError turns the daemon's answer to a call into what a person reads.
func remoteError(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	e := &exitError{code: remoteExit(s.Code()), err: errors.New(s.Message()), unknown: s.Code() == codes.NotFound}
	for _, detail := range s.Details() {
		if info, ok := detail.(*hostv1.ErrorInfo); ok {
			e.hint = info.GetHint()
			if info.GetCode() == string(api.KindFull) {
				e.code = exitEnvironment
			}
		}
	}
	switch {
	case s.Code() == codes.Unavailable && e.hint == "":
		e.err, e.hint = errors.New("the daemon does not answer"), "is it running? jackfield serve"
	case s.Code() == codes.DeadlineExceeded && e.hint == "":
		e.err, e.hint = errors.New("the daemon did not answer in time"), "raise --timeout"
	}
	return e
}

func remoteExit(code codes.Code) int {
	switch code {
	case codes.OK:
		return exitDone
	case codes.InvalidArgument:
		return exitUsage
	case codes.Unavailable, codes.DeadlineExceeded, codes.Unimplemented:
		return exitEnvironment
	case codes.PermissionDenied, codes.Unauthenticated:
		return exitDenied
	case codes.Canceled:
		return exitInterrupted
	default:
		return exitFailed
	}
}
