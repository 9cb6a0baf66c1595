package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dop251/goja"

	"github.com/jackfield/jackfield/sdk"
)

// Bounds of what a call may log and keep.
const (
	maxLines    = 500
	maxLine     = 4 << 10
	maxCacheTTL = 30 * 24 * time.Hour
)

// equip gives the world what it has beside the language, as far as the program names it.
func (c *call) equip() {
	json := c.vm.Get("JSON").ToObject(c.vm)
	c.parser, _ = goja.AssertFunction(json.Get("parse"))
	c.writer, _ = goja.AssertFunction(json.Get("stringify"))
	if c.program.named["console"] {
		console := c.vm.NewObject()
		for name, level := range map[string]sdk.LogLevel{"log": sdk.LogInfo, "info": sdk.LogInfo, "debug": sdk.LogDebug, "warn": sdk.LogWarn, "error": sdk.LogError} {
			c.set(console, name, c.logger(level))
		}
		c.set(c.vm.GlobalObject(), "console", console)
	}
	c.give(c.vm.GlobalObject(), "setTimeout", c.loop.setTimeout)
	c.give(c.vm.GlobalObject(), "clearTimeout", c.loop.clearTimeout)
	c.give(c.vm.GlobalObject(), "btoa", c.btoa)
	c.give(c.vm.GlobalObject(), "atob", c.atob)
}

// give sets what the program names.
func (c *call) give(on *goja.Object, name string, value func(goja.FunctionCall) goja.Value) {
	if c.program.named[name] {
		c.set(on, name, value)
	}
}

func (c *call) set(on *goja.Object, name string, value any) {
	_ = on.Set(name, value) // of a plain object of our own
}

// context makes ctx, which every function is called with.
func (c *call) context() (goja.Value, error) {
	fields, err := c.parse(c.in.Settings.Reveal())
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	ctx := c.vm.NewObject()
	if c.program.named["cache"] {
		cache := c.vm.NewObject()
		c.set(cache, "get", c.cacheGet)
		c.set(cache, "put", c.cachePut)
		c.set(ctx, "cache", cache)
	}
	if c.program.named["log"] {
		log := c.vm.NewObject()
		for name, level := range map[string]sdk.LogLevel{"debug": sdk.LogDebug, "info": sdk.LogInfo, "warn": sdk.LogWarn, "error": sdk.LogError} {
			c.set(log, name, c.logger(level))
		}
		c.set(ctx, "log", log)
	}
	c.set(ctx, "tenant", c.in.Tenant)
	c.set(ctx, "integration", c.in.Name)
	c.set(ctx, "fields", fields)
	c.set(ctx, "options", c.vm.NewObject())
	c.give(ctx, "fetch", c.fetch)
	c.give(ctx, "endpoint", c.endpoint)
	return ctx, nil
}

// logger writes a line: the texts of what it is given; objects as JSON.
func (c *call) logger(level sdk.LogLevel) func(goja.FunctionCall) goja.Value {
	return func(call goja.FunctionCall) goja.Value {
		if c.lines++; c.lines > maxLines || c.ctx.Err() != nil {
			return goja.Undefined()
		}
		words := make([]string, len(call.Arguments))
		for i, a := range call.Arguments {
			words[i] = c.text(a)
		}
		line := strings.Join(words, " ")
		if c.lines == maxLines {
			line = fmt.Sprintf("a call writes %d lines at most: the rest is left out", maxLines)
		}
		c.host.Log(level, cut(line, maxLine), "function", c.function)
		return goja.Undefined()
	}
}

// text is a value in a line of the log.
func (c *call) text(v goja.Value) string {
	o, ok := v.(*goja.Object)
	if !ok {
		return v.String()
	}
	if stack := o.Get("stack"); stack != nil && !goja.IsUndefined(stack) { // an error
		return stack.String()
	}
	if raw, err := o.MarshalJSON(); err == nil {
		return string(raw)
	}
	return v.String()
}

// scope reads {scope} of a cache's options.
func (c *call) scope(options goja.Value) sdk.CacheScope {
	o, ok := options.(*goja.Object)
	if !ok {
		return sdk.CacheIntegration
	}
	if v := o.Get("scope"); v != nil && !goja.IsUndefined(v) {
		return sdk.CacheScope(v.String())
	}
	return sdk.CacheIntegration
}

// cacheGet is ctx.cache.get(key, {scope}): the value, or undefined.
func (c *call) cacheGet(call goja.FunctionCall) goja.Value {
	key, scope, at := call.Argument(0).String(), c.scope(call.Argument(1)), c.here()
	return c.loop.promise(func(ctx context.Context) settled {
		raw, ok, err := c.host.CacheGet(ctx, scope, key)
		return func() (goja.Value, goja.Value) {
			if err != nil {
				return nil, c.throwable(sdk.AsError(err), at)
			}
			if !ok {
				return goja.Undefined(), nil
			}
			v, err := c.parse(raw)
			if err != nil { // somebody else's: it is not one of ours
				return goja.Undefined(), nil
			}
			return v, nil
		}
	})
}

// cachePut is ctx.cache.put(key, value, {ttl, scope}), with ttl in seconds.
func (c *call) cachePut(call goja.FunctionCall) goja.Value {
	key, scope, at := call.Argument(0).String(), c.scope(call.Argument(2)), c.here()
	raw, err := json.Marshal(call.Argument(1).Export())
	if o, ok := call.Argument(1).(*goja.Object); ok {
		raw, err = o.MarshalJSON()
	}
	var ttl time.Duration
	if o, ok := call.Argument(2).(*goja.Object); ok {
		if v := o.Get("ttl"); v != nil && !goja.IsUndefined(v) {
			ttl = time.Duration(min(max(v.ToFloat(), 0.001), maxCacheTTL.Seconds()) * float64(time.Second))
		}
	}
	return c.loop.promise(func(ctx context.Context) settled {
		if err == nil {
			err = c.host.CachePut(ctx, scope, key, raw, ttl)
		}
		return func() (goja.Value, goja.Value) {
			if err != nil {
				return nil, c.throwable(sdk.AsError(err), at)
			}
			return goja.Undefined(), nil
		}
	})
}

// cut shortens a text to so many bytes, and leaves its characters whole.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}
