package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"github.com/dop251/goja"

	"github.com/jackfield/jackfield/sdk"
)

// The codes of errors of functions.
const (
	codeFunction = "function_error"
	codeTimeout  = "function_timeout"
	codeCanceled = "function_cancelled"
	codeNever    = "function_never_ends"
	codeStack    = "function_stack"
)

const maxTrace = 1000

// thrown is a value that a function's promise was broken with.
type thrown struct{ value goja.Value }

// Error returns the value as a text.
func (t *thrown) Error() string { return t.value.String() }

// place is a line of a stack that stands in the folder's own code.
func place() *regexp.Regexp {
	return regexp.MustCompile(`([A-Za-z0-9_][A-Za-z0-9_./-]*\.(?:ts|js|mjs)):(\d+):(\d+)`)
}

// placeIn returns the first place in the folder that a stack names; empty if none.
// Columns count from 1, as editors do.
func (p *program) placeIn(stack string) string {
	for _, at := range p.places.FindAllStringSubmatch(stack, -1) {
		if at[1] == "out.js" || at[1] == "prelude.js" {
			continue
		}
		column, err := strconv.Atoi(at[3])
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s:%s:%d", at[1], at[2], column+1)
	}
	return ""
}

// here is where the function is.
func (c *call) here() string {
	var text strings.Builder
	for _, f := range c.vm.CaptureCallStack(20, nil) {
		fmt.Fprintln(&text, f.Position())
	}
	return c.program.placeIn(text.String())
}

// fault says what went wrong with the code of a program, and where.
func (p *program) fault(err error, base *sdk.Error) *sdk.Error {
	out := &sdk.Error{Class: sdk.ClassSystem, Code: codeFunction}
	if base != nil {
		*out = *base
		out.Details = maps.Clone(base.Details)
	}
	message, stack := err.Error(), ""
	switch e := err.(type) { //nolint:errorlint // as the language made it
	case *thrown:
		message, stack = describe(e.value)
	case *goja.Exception:
		message, stack = describe(e.Value())
		if p.placeIn(stack) == "" {
			stack = e.String()
		}
	case *goja.InterruptedError:
		message, stack = fmt.Sprint(e.Value()), e.String()
	case *goja.StackOverflowError:
		out.Code, message, stack = codeStack, fmt.Sprintf("functions call each other more than %d deep", maxStack), e.String()
	}
	if base != nil {
		message = base.Message
	}
	if at := p.placeIn(stack); at != "" {
		message = at + ": " + message
		if out.Details == nil {
			out.Details = map[string]string{}
		}
		out.Details["at"], out.Details["stack"] = at, cut(strings.TrimSpace(stack), maxTrace)
	}
	out.Message = cut(message, maxTrace)
	return out
}

// describe returns the text and the stack of what was thrown.
func describe(v goja.Value) (message, stack string) {
	o, ok := v.(*goja.Object)
	if !ok {
		return v.String(), ""
	}
	if s := o.Get("stack"); s != nil && !goja.IsUndefined(s) {
		stack = s.String()
	}
	return o.String(), stack
}

// failed is why the call failed, for the host.
func (c *call) failed(err error) error {
	out := c.explain(err)
	out.Safe = c.writes.safe()
	if out.Class == "" {
		out.Class = sdk.ClassSystem
	}
	return out
}

func (c *call) explain(err error) *sdk.Error {
	if e, ok := errors.AsType[*goja.InterruptedError](err); ok {
		return c.ended(e)
	}
	if err == errNever { //nolint:errorlint // it is never wrapped
		return &sdk.Error{Class: sdk.ClassSystem, Code: codeNever, Message: fmt.Sprintf("%s in %s does not end: %s", c.function, c.program.entry, err)}
	}
	if c.ctx.Err() != nil {
		return c.ended(context.Cause(c.ctx))
	}
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		return e
	}
	var value goja.Value
	if e, ok := errors.AsType[*goja.Exception](err); ok {
		value = e.Value()
	}
	if e, ok := errors.AsType[*thrown](err); ok {
		value = e.value
	}
	if o, ok := value.(*goja.Object); ok {
		return c.program.fault(err, c.said(o))
	}
	return c.program.fault(err, nil)
}

// said is what an error says of itself: one of the world's own, or what the author put
// on it: class, code, details.
func (c *call) said(o *goja.Object) *sdk.Error {
	if given := c.errors[o]; given != nil {
		return given
	}
	class, code := property(o, "class"), property(o, "code")
	switch sdk.Class(class) {
	case sdk.ClassConfig, sdk.ClassAuth, sdk.ClassTransient, sdk.ClassRateLimited, sdk.ClassRemote, sdk.ClassSystem:
	default:
		return nil
	}
	if code == "" {
		code = codeFunction
	}
	message, _ := describe(o)
	return &sdk.Error{Class: sdk.Class(class), Code: cut(code, 64), Message: message}
}

func property(o *goja.Object, name string) string {
	if v := o.Get(name); v != nil && !goja.IsUndefined(v) && !goja.IsNull(v) {
		return v.String()
	}
	return ""
}

// ended says why the call was ended from outside, and where it was.
func (c *call) ended(err error) *sdk.Error {
	cause := context.Cause(c.ctx)
	at := ""
	if e, ok := errors.AsType[*goja.InterruptedError](err); ok {
		if at = c.program.placeIn(e.String()); at != "" {
			at += ": "
		}
	}
	if e, ok := errors.AsType[*sdk.Error](cause); ok { // the guard of the memory
		out := *e
		out.Message = at + out.Message
		return &out
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return &sdk.Error{Class: sdk.ClassTransient, Code: codeTimeout, Message: at + c.function + " did not end within its time"}
	}
	return &sdk.Error{Class: sdk.ClassTransient, Code: codeCanceled, Message: at + c.function + " was cancelled"}
}

// throwable makes an error of the world of one of the host.
func (c *call) throwable(e *sdk.Error, at string) goja.Value {
	o, err := c.vm.New(c.vm.Get("Error"), c.vm.ToValue(e.Error()))
	if err != nil {
		return c.vm.NewGoError(e)
	}
	c.set(o, "code", e.Code)
	c.set(o, "class", string(e.Class))
	c.set(o, "outcome", e.Details[sdk.DetailOutcome])
	if status, err := strconv.Atoi(e.Details["status"]); err == nil {
		c.set(o, "status", status)
	}
	c.set(o, "fields", fieldFaults(e.Details))
	if at != "" {
		c.set(o, "stack", "Error: "+e.Error()+"\n\tat "+at)
	}
	c.errors[o] = e
	return o
}
