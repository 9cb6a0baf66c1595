package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// The codes of this package's own errors.
const (
	codeTimeout       = "timeout"
	codeLookupTimeout = "lookup_timeout"
	codeCancelled     = "cancelled"
	codeNoList        = "no_list"
	codeTooMany       = "too_many_calls"
	codeCondition     = "expression_failed"
	codeNotAsked      = "not_asked"
	codeInterrupted   = store.CodeInterrupted
)

// failure makes why a step failed a *store.HookError of its own.
func failure(ctx context.Context, s Step, err error) *store.HookError {
	var e store.HookError
	if known, ok := errors.AsType[*store.HookError](err); ok {
		e = *known
	} else {
		e = store.HookError{Class: string(sdk.ClassSystem), Code: "internal", Message: err.Error(), Outcome: store.OutcomeNotSent}
	}
	if ctx.Err() != nil && (e.Code == codeTimeout || e.Code == codeCancelled) {
		why := ended(ctx)
		e.Code, e.Message = why.Code, why.Message
	}
	if e.Outcome == "" {
		e.Outcome = store.OutcomeNotSent
	}
	if s.Reads && e.Outcome == store.OutcomeUnknown {
		e.Outcome = store.OutcomeNotSent // nothing was written
	}
	e.Again = e.Again || e.Outcome == store.OutcomeUnknown && s.Again
	return &e
}

// ended says why there is no more time.
func ended(ctx context.Context) *store.HookError {
	e := &store.HookError{Class: string(sdk.ClassTransient), Code: codeTimeout, Message: "there was no more time", Outcome: store.OutcomeNotSent}
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Code, e.Message = codeCancelled, "it was cancelled"
	}
	return e
}

func configError(code, format string, args ...any) *store.HookError {
	return &store.HookError{Class: string(sdk.ClassConfig), Code: code, Message: fmt.Sprintf(format, args...), Outcome: store.OutcomeNotSent}
}

// worse returns the error of two that knows less about what was written.
func worse(a, b *store.HookError) *store.HookError {
	if a == nil || b != nil && rank(b) > rank(a) {
		return b
	}
	return a
}

// rank orders errors by how little is known: a write that may be repeated is no worse
// than one that did not arrive.
func rank(e *store.HookError) int {
	if e.Outcome == store.OutcomeUnknown && !e.Again {
		return 1
	}
	return 0
}
