package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dop251/goja"

	"github.com/jackfield/jackfield/sdk"
)

const (
	// callTimeout is for a call without a deadline of its own.
	callTimeout = 30 * time.Second
	maxResult   = 1 << 20
)

// call is one call of a function, in a world of its own.
type call struct {
	*instance
	function string
	ctx      context.Context //nolint:containedctx // of the call, which this is
	vm       *goja.Runtime
	loop     *loop
	host     sdk.Host
	parser   goja.Callable // JSON.parse and JSON.stringify, as the language has them
	writer   goja.Callable
	writes   writes
	errors   map[*goja.Object]*sdk.Error // that the world was given
	lines    int                         // logged
	fetched  int64                       // bytes
	turn     *turn
}

// run calls a function and returns what it answers, as JSON.
func (i *instance) run(ctx context.Context, function string, payload []byte) (_ []byte, err error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	c := &call{instance: i, function: function, ctx: ctx, host: sdk.HostFrom(ctx), errors: map[*goja.Object]*sdk.Error{}}
	defer func() {
		cancel(nil)
		if c.loop != nil {
			c.loop.end()
		}
	}()
	c.turn = i.heap.enter(cancel)
	defer i.heap.leave(c.turn)
	c.turn.on()
	defer c.turn.off()
	var stop func() bool
	vm, err := i.program.world(func(vm *goja.Runtime) {
		c.vm, c.loop = vm, newLoop(ctx, vm, c.turn)
		stop = context.AfterFunc(ctx, func() { vm.Interrupt(context.Cause(ctx)) })
		c.equip()
	})
	defer stop()
	if err != nil {
		return nil, c.failed(err)
	}
	answer, err := c.invoke(vm, payload)
	if err != nil {
		return nil, c.failed(err)
	}
	return answer, nil
}

// invoke calls the exported function.
func (c *call) invoke(vm *goja.Runtime, payload []byte) ([]byte, error) {
	fn, ok := goja.AssertFunction(vm.Get(global).ToObject(vm).Get(c.function))
	if !ok {
		return nil, fmt.Errorf("%s does not export the function %s any more", c.program.entry, c.function)
	}
	context, err := c.context()
	if err != nil {
		return nil, err
	}
	args := []goja.Value{context}
	if payload != nil {
		event, err := c.parse(payload)
		if err != nil {
			return nil, fmt.Errorf("read what the function is called with: %w", err)
		}
		if options := event.ToObject(vm).Get("options"); options != nil {
			c.set(context.ToObject(vm), "options", options)
		}
		args = []goja.Value{event, context}
	}
	value, err := fn(goja.Undefined(), args...)
	if err != nil {
		return nil, err //nolint:wrapcheck // explained by failed
	}
	if p, ok := value.Export().(*goja.Promise); ok {
		if err := c.loop.wait(p); err != nil {
			return nil, err
		}
		if p.State() == goja.PromiseStateRejected {
			return nil, &thrown{p.Result()}
		}
		value = p.Result()
	}
	return c.write(value)
}

// write returns a value as JSON.
func (c *call) write(value goja.Value) ([]byte, error) {
	if value == nil || goja.IsUndefined(value) || goja.IsNull(value) {
		return []byte("{}"), nil
	}
	text, err := c.writer(goja.Undefined(), value)
	if err != nil {
		return nil, err //nolint:wrapcheck // explained by failed
	}
	raw := []byte(text.String())
	switch {
	case len(raw) > maxResult:
		return nil, &sdk.Error{Class: sdk.ClassSystem, Code: "answer_too_large", Message: fmt.Sprintf("%s answers %d bytes, %d are allowed", c.function, len(raw), maxResult)}
	case raw[0] != '{': // else it is JSON: the language wrote it
		return nil, &sdk.Error{Class: sdk.ClassSystem, Code: "bad_answer", Message: fmt.Sprintf("%s answers %.40q and no object", c.function, raw)}
	}
	return raw, nil
}

// parse makes a value of JSON.
func (c *call) parse(raw []byte) (goja.Value, error) {
	return c.parser(goja.Undefined(), c.vm.ToValue(string(raw))) //nolint:wrapcheck // explained by failed
}
