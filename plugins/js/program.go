package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"

	"github.com/jackfield/jackfield/sdk"
)

const (
	// firstLevel is how long the code outside of functions may run.
	firstLevel = time.Second
	// maxStack is how deep functions may call each other.
	maxStack = 2000
)

//go:embed prelude.js
var preludeSource string

// program is the code of a folder, compiled. It is shared by all calls.
type program struct {
	entry   string
	code    *goja.Program
	prelude *goja.Program // nil: there is nothing to bound
	places  *regexp.Regexp
	named   map[string]bool // of extras: the program has the word
}

// extras are names that a world has beside the language, and that the program does not
// miss if no word of it is one of them: each costs each call time.
func extras() []string {
	return []string{"console", "setTimeout", "clearTimeout", "btoa", "atob", "cache", "log", "fetch", "endpoint"}
}

// compile makes a program of a folder's files.
func compile(files folder) (*program, error) {
	entry, err := files.entry()
	if err != nil {
		return nil, err
	}
	text, err := files.bundle(entry)
	if err != nil {
		return nil, err
	}
	p := &program{entry: entry, places: place(), named: map[string]bool{}}
	for _, name := range extras() {
		p.named[name] = strings.Contains(text, name)
	}
	tree, err := goja.Parse("out.js", text)
	if err == nil {
		p.code, err = goja.CompileAST(tree, true)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: compile: %w", entry, err)
	}
	if p.prelude, err = prelude(text); err != nil {
		return nil, err
	}
	return p, nil
}

// bounded are what prelude.js bounds.
func bounded() []string {
	return []string{
		"repeat", "padStart", "padEnd", "from", "fill", "join", "concat", "flat", "slice", "splice", "sort", "reverse",
		"ArrayBuffer", "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array",
		"Float32Array", "Float64Array", "BigInt64Array", "BigUint64Array",
	}
}

// prelude compiles what is run before the program of this text. It costs each call
// time, so it bounds what the program names: this is against mistakes, and the memory
// of the process is what holds against the rest.
func prelude(text string) (*goja.Program, error) {
	used := []string{}
	for _, name := range bounded() {
		if strings.Contains(text, name) {
			used = append(used, name)
		}
	}
	if len(used) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	list, err := json.Marshal(used)
	if err != nil {
		return nil, fmt.Errorf("compile prelude: %w", err)
	}
	p, err := goja.Compile("prelude.js", strings.Replace(preludeSource, "(USED)", "("+string(list)+")", 1), true)
	if err != nil {
		return nil, fmt.Errorf("compile prelude: %w", err)
	}
	return p, nil
}

// world makes a new world and runs the program's first level in it. Whoever stops it
// interrupts the world.
func (p *program) world(ready func(*goja.Runtime)) (*goja.Runtime, error) {
	vm := goja.New()
	vm.SetMaxCallStackSize(maxStack)
	vm.SetParserOptions(parser.WithDisableSourceMaps) // a map could name a file of this machine
	ready(vm)
	if p.prelude != nil {
		if _, err := vm.RunProgram(p.prelude); err != nil {
			return nil, p.fault(err, nil)
		}
	}
	if _, err := vm.RunProgram(p.code); err != nil {
		return nil, p.fault(err, nil)
	}
	return vm, nil
}

// exports returns the names of the functions that the program exports.
func (p *program) exports() ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), firstLevel, errors.New("it does not end"))
	defer cancel()
	var stop func() bool
	vm, err := p.world(func(vm *goja.Runtime) {
		stop = context.AfterFunc(ctx, func() { vm.Interrupt(context.Cause(ctx)) })
	})
	defer stop()
	if err != nil {
		return nil, fmt.Errorf("run the code outside of functions: %s", sdk.AsError(err).Message)
	}
	var names []string
	module := vm.Get(global).ToObject(vm)
	for _, name := range module.Keys() {
		if _, ok := goja.AssertFunction(module.Get(name)); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
