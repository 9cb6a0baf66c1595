package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

const (
	// unsaidWait is for a refusal that does not say how long to wait.
	unsaidWait = time.Minute
	// longestWait bounds what a header can ask for.
	longestWait = 24 * time.Hour
)

// fault gives what package slack returns a class. What the caller returned has
// one already.
func fault(method string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*sdk.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("call %s: %w", method, err)
	}
	return badAnswer(method, "it has another shape than described", err)
}

// badAnswer says that an answer cannot be used.
func badAnswer(method, why string, cause error) *sdk.Error {
	return &sdk.Error{Class: sdk.ClassRemote, Code: "bad_answer", Message: fmt.Sprintf("%s: the answer cannot be used: %s", method, why), Cause: cause}
}

// broken says that no whole answer came. An end of ctx is passed on as such, and what
// the host says of a connection too: what it does not allow once it never does.
func broken(ctx context.Context, method string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("call %s: %w", method, context.Cause(ctx))
	}
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		return &sdk.Error{Class: e.Class, Code: e.Code, Message: method + ": " + e.Message, Safe: e.Safe, AbortRun: e.Permanent(), Cause: err}
	}
	return &sdk.Error{Class: sdk.ClassTransient, Code: "no_answer", Message: fmt.Sprintf("%s: no whole answer: %v", method, err), Cause: err}
}

// rateLimited reads Retry-After in both of its forms. A date is compared with
// the answer's own, so that clocks that differ do not matter.
func rateLimited(method string, h http.Header) *sdk.Error {
	after := unsaidWait
	said := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(said, 10, 64); err == nil {
		after = time.Duration(min(seconds, int64(longestWait/time.Second))) * time.Second
	} else if until, err := http.ParseTime(said); err == nil {
		now, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			now = time.Now()
		}
		after = until.Sub(now)
	}
	e := sdk.RateLimitedFor(min(max(after, 0), longestWait))
	e.Message, e.Safe = method+": Slack asks to wait", true
	return e
}

// refused turns the reason of an `ok: false` into an error of the right class.
func refused(method string, a answer) *sdk.Error {
	e := &sdk.Error{Class: sdk.ClassRemote, Code: a.Error, Message: method + ": Slack refused", Safe: true}
	switch a.Error {
	case "ratelimited", "rate_limited":
		return rateLimited(method, http.Header{})
	case "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "org_login_required", "two_factor_setup_required":
		// Nothing else in the run can work either.
		e.Class, e.AbortRun = sdk.ClassAuth, true
		e.Message = method + ": Slack refused the token (hint: install the app again and set its new token)"
	case "missing_scope":
		e.Class = sdk.ClassAuth
		e.Message = method + ": the token lacks a scope (hint: add it to the app and install the app again)"
		if a.Needed != "" {
			e.Message = fmt.Sprintf("%s: the token lacks the scope %s (hint: add it to the app and install the app again)", method, a.Needed)
		}
	case "no_permission", "not_allowed_token_type", "access_denied", "team_access_not_granted", "ekm_access_denied", "enterprise_is_restricted":
		e.Class = sdk.ClassAuth
		e.Message = method + ": Slack refused the token for this method"
	case "internal_error", "fatal_error", "request_timeout", "service_unavailable", "accesslimited":
		e.Class = sdk.ClassTransient
		e.Message = method + ": Slack has an error of its own"
	}
	return e
}

// is reports whether err is Slack's refusal for one of the reasons.
func is(err error, reasons ...string) bool {
	e, ok := errors.AsType[*sdk.Error](err)
	return ok && slices.Contains(reasons, e.Code)
}

// vanished reports whether what the stream reads is not there for the bot: the
// rest of the run is none the worse for it.
func vanished(err error) bool {
	return is(err, "channel_not_found", "not_in_channel", "is_archived", "thread_not_found", "message_not_found")
}

// vanishedHint says what an operator can do about it.
func vanishedHint(err error) string {
	if is(err, "not_in_channel", "channel_not_found") {
		return "the bot is no member of it (hint: /invite the bot there, or set join: true)"
	}
	return sdk.AsError(err).Code
}
