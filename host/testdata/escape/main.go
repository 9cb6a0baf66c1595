//go:build linux

// Escape is a plugin that tries to get out of its sandbox, in the ways that a test
// names to it. It tells how each ended. Started without a host it does so at once and
// prints what it saw.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// attemptsVariable holds settings, for a start without a host.
const attemptsVariable = "ATTEMPTS"

func main() {
	text, alone := os.LookupEnv(attemptsVariable)
	if !alone {
		plugin.Serve(escaper{})
		return
	}
	var s settings
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(s.tryAll())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type settings struct {
	Attempts []attempt `json:"attempts"`
	Path     string    `json:"path,omitempty" jsonschema_extras:"x-path=true"` // read as it is
}

// attempt is one way out.
type attempt struct {
	Name string `json:"name"`
	Do   string `json:"do"`
	On   string `json:"on,omitempty"` // a path, an address or a process
}

// tryAll returns why each attempt failed; empty for one that succeeded.
func (s settings) tryAll() map[string]string {
	out := map[string]string{}
	for _, a := range s.Attempts {
		out[a.Name] = ""
		if err := a.try(); err != nil {
			out[a.Name] = err.Error()
		}
	}
	return out
}

type escaper struct{}

// Manifest implements sdk.Plugin.
func (escaper) Manifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "escape", Label: "Escape", Version: "1.0.0", Kind: sdk.KindData, Settings: settings{}, Every: -1,
		Connectors: []sdk.Connector{{Name: "attempts", Label: "Attempts"}},
	}
}

// Open implements sdk.Plugin.
func (escaper) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	var s settings
	return &instance{&s}, in.Settings.Decode(&s)
}

type instance struct{ *settings }

// GetStreams implements sdk.Instance.
func (*instance) GetStreams(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
	return out.Stream(ctx, sdk.Stream{ID: "all", Connector: "attempts"})
}

// ProcessStream implements sdk.Instance: each attempt becomes a record.
func (i *instance) ProcessStream(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	if i.Path != "" {
		if _, err := os.ReadFile(i.Path); err != nil {
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassConfig, Code: "unreadable", Message: err.Error()}
		}
	}
	for name, failed := range i.tryAll() {
		data, err := json.Marshal(map[string]string{"failed": failed})
		if err != nil {
			return sdk.Outcome{}, err
		}
		if err := out.Record(ctx, sdk.Record{Kind: "attempt", ID: name, Data: data}); err != nil {
			return sdk.Outcome{}, err
		}
	}
	return sdk.Outcome{}, nil
}
