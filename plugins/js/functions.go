package main

import (
	"context"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackfield/jackfield/sdk"
)

// hookNames are the exports that the host calls at an event, in the order of a call.
func hookNames() []string {
	return []string{"getDataIframe", "savePreLogCRM", "saveLogCRM", "createSMSNote", "handleCreateTicket", "handleCreateContact", "lookup"}
}

// checkName is the export that tests a connection.
const checkName = "check"

// functions is a folder as a plugin.
type functions struct {
	manifest sdk.Manifest
	program  *program
	settings settingsCheck
	heap     *heapGuard
	fetcher  *fetcher
}

var _ sdk.Plugin = (*functions)(nil)

// load makes a plugin of a folder: its code is compiled once, and run to the end of its
// first level to see what it exports.
func load(from fs.FS) (*functions, error) {
	d, err := readDescription(from)
	if err != nil {
		return nil, err
	}
	files, err := readFolder(from)
	if err != nil {
		return nil, err
	}
	p, err := compile(files)
	if err != nil {
		return nil, err
	}
	exports, err := p.exports()
	if err != nil {
		return nil, err
	}
	hooks := slices.DeleteFunc(hookNames(), func(name string) bool { return !slices.Contains(exports, name) })
	if len(hooks) == 0 {
		return nil, fmt.Errorf("%s exports none of the functions %v", p.entry, hookNames())
	}
	m, err := d.manifest(hooks, slices.Contains(exports, checkName))
	if err != nil {
		return nil, err
	}
	settings, err := newSettingsCheck(m.SettingsSchema)
	if err != nil {
		return nil, fmt.Errorf("%s: manifest.settings: %w", descriptionFile, err)
	}
	return &functions{manifest: m, program: p, settings: settings, heap: newHeapGuard(heapLimit()), fetcher: newFetcher()}, nil
}

// Manifest implements sdk.Plugin.
func (f *functions) Manifest() sdk.Manifest { return f.manifest }

// Open implements sdk.Plugin.
func (f *functions) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	if err := f.settings.check(in.Settings.Reveal()); err != nil {
		return nil, err
	}
	return &instance{functions: f, in: in}, nil
}

// instance is the functions for one integration.
type instance struct {
	*functions
	in sdk.Integration
}

var (
	_ sdk.Invoker = (*instance)(nil)
	_ sdk.Checker = (*instance)(nil)
)

// Invoke implements sdk.Invoker.
func (i *instance) Invoke(ctx context.Context, call sdk.HookCall) (sdk.HookResult, error) {
	if !slices.Contains(i.manifest.Hooks, call.Name) {
		return sdk.HookResult{}, &sdk.Error{Class: sdk.ClassConfig, Code: "no_such_function", Safe: true, Message: fmt.Sprintf("%s does not export %.64q", i.program.entry, call.Name)}
	}
	payload, err := i.run(ctx, call.Name, call.Payload)
	return sdk.HookResult{Payload: payload}, err
}

// Check implements sdk.Checker.
func (i *instance) Check(ctx context.Context) error {
	_, err := i.run(ctx, checkName, nil)
	return err
}

// GetStreams implements sdk.Instance: functions import nothing.
func (i *instance) GetStreams(context.Context, sdk.PlanCall, *sdk.Emitter) error { return nil }

// ProcessStream implements sdk.Instance.
func (i *instance) ProcessStream(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
	return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassConfig, Code: "not_supported", Message: "functions import nothing"}
}

// runtimeItself is what this program is without a folder: approved, it may run those
// that name it.
type runtimeItself struct{}

// Manifest implements sdk.Plugin.
func (runtimeItself) Manifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "js", Label: "Functions in TypeScript", Version: "1.0.0", Kind: sdk.KindOperation, Capabilities: []sdk.Capability{sdk.CanInvoke},
		Description:    "Runs folders with a plugin.yaml that says runtime: js. An integration names such a folder, not this plugin.",
		SettingsSchema: []byte(`{"type":"object","additionalProperties":false,"properties":{}}`),
	}
}

// Open implements sdk.Plugin.
func (runtimeItself) Open(context.Context, sdk.Integration) (sdk.Instance, error) {
	return noFunctions{}, nil
}

// noFunctions is an integration of the runtime itself: it can do nothing.
type noFunctions struct{}

var _ sdk.Invoker = noFunctions{}

// Invoke implements sdk.Invoker.
func (noFunctions) Invoke(context.Context, sdk.HookCall) (sdk.HookResult, error) {
	return sdk.HookResult{}, &sdk.Error{Class: sdk.ClassConfig, Code: "no_such_function", Safe: true, Message: "js runs folders and has no functions itself: let the integration name the folder's plugin"}
}

// GetStreams implements sdk.Instance.
func (noFunctions) GetStreams(context.Context, sdk.PlanCall, *sdk.Emitter) error { return nil }

// ProcessStream implements sdk.Instance.
func (noFunctions) ProcessStream(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
	return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassConfig, Code: "not_supported", Message: "functions import nothing"}
}
