package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
)

// ProcessError says in one sentence why a process did not start, or ended.
type ProcessError struct {
	Reason string
	Hint   string   // what to do about it; may be empty
	Lines  []string // its last lines on stderr
	err    error
}

// Error returns the sentence with the hint.
func (e *ProcessError) Error() string {
	text := e.Reason
	if len(e.Lines) > 0 {
		text += "; it wrote: " + strings.Join(e.Lines, " / ")
	}
	if e.Hint != "" {
		text += " (hint: " + e.Hint + ")"
	}
	return text
}

// Unwrap returns the cause.
func (e *ProcessError) Unwrap() error { return e.err }

// shownLines is how many of the last lines an error shows.
const shownLines = 5

// startFailure explains err, by which the start of b ended.
func (s *Supervisor) startFailure(ctx context.Context, b Binary, x *execution, err error) *ProcessError {
	e := &ProcessError{err: err}
	if unfit := s.opts.Inspect(b.Path); unfit != nil {
		e.Reason = unfit.Error() // whatever happened, this is why
		return e
	}
	if e.explainExec(b, err) {
		return e
	}
	shook, noise, refused := false, []string(nil), error(nil)
	ending := ""
	if x != nil {
		shook, noise, refused = x.handshaken()
		ending = x.ending()
		e.Lines = x.out.lastLines(shownLines)
	}
	timedOut := errors.Is(context.Cause(ctx), context.DeadlineExceeded)
	switch {
	case refused != nil:
		e.Reason = refused.Error()
		e.err = refused
	case !shook && timedOut:
		e.Reason = fmt.Sprintf("no handshake within %s", s.opts.StartTimeout)
		e.Hint = "is it a plugin? its main function calls plugin.Serve"
	case !shook && ending != "":
		e.Reason = ending + " before the handshake"
		if len(e.Lines) == 0 && len(noise) == 0 {
			e.Hint = "is it a plugin? its main function calls plugin.Serve"
		}
	case timedOut:
		e.Reason = fmt.Sprintf("no answer within %s after the handshake", s.opts.StartTimeout)
	case ending != "":
		e.Reason = ending + " right after the handshake"
	default:
		e.Reason = clean(err.Error(), maxValue)
	}
	if !shook && len(noise) > 0 {
		e.Reason += fmt.Sprintf("; it printed %q", strings.Join(noise, " / "))
		e.Hint = "a plugin prints nothing to stdout before plugin.Serve"
	}
	return e
}

// explainExec explains an error of exec itself.
func (e *ProcessError) explainExec(b Binary, err error) bool {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		e.Reason = fmt.Sprintf("it is no program for %s/%s", runtime.GOOS, runtime.GOARCH)
		e.Hint = fmt.Sprintf("build it with GOOS=%s GOARCH=%s", runtime.GOOS, runtime.GOARCH)
	case errors.Is(err, fs.ErrPermission):
		e.Reason, e.Hint = "the file is not executable", "chmod +x "+b.Path+", and see whether its file system is mounted noexec"
	case errors.Is(err, fs.ErrNotExist):
		e.Reason, e.Hint = "the file, or the interpreter that it names, does not exist", "copy the file again, or install its interpreter"
	case errors.Is(err, syscall.ETXTBSY):
		e.Reason, e.Hint = "the file is still being written", "wait for the copy to end"
	case errors.Is(err, errDigest):
		e.Reason = errDigest.Error()
	default:
		return false
	}
	return true
}

// explain parts err into a text and the last lines on stderr.
func explain(err error) (text string, lines []string) {
	e, ok := errors.AsType[*ProcessError](err)
	if !ok || len(e.Lines) == 0 {
		return err.Error(), nil
	}
	bare := *e
	bare.Lines = nil
	return strings.Replace(err.Error(), e.Error(), bare.Error(), 1), e.Lines
}
