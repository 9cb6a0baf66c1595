// Command hello is the smallest complete plugin: it imports greetings, and the
// next run goes on where the last one got to.
package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

func main() { plugin.Serve(hello{}) }

type settings struct {
	Name  string     `json:"name" jsonschema:"title=Whom to greet,minLength=1"`
	Count int        `json:"count,omitempty" jsonschema:"minimum=1,maximum=1000,default=3"`
	Token sdk.Secret `json:"token,omitzero" jsonschema:"title=Token of the greeting service"`
}

type hello struct{ settings }

func (hello) Manifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "hello", Label: "Hello", Version: "1.0.0", Settings: settings{},
		Connectors: []sdk.Connector{{Name: "greetings", Label: "Greetings", Force: true}},
	}
}

func (h hello) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	err := in.Settings.Decode(&h.settings) // h is a copy: each integration has its own
	return h, err
}

func (h hello) GetStreams(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
	return out.Stream(ctx, sdk.Stream{ID: "all", Connector: "greetings", Partition: "all"})
}

func (h hello) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	first, _ := strconv.Atoi(string(call.Cursor)) // no cursor: from 0
	next := first + cmp.Or(h.Count, 3)
	for n := first; n < next; n++ {
		data, err := sdk.Marshal(map[string]any{"text": fmt.Sprintf("Hello %s, this is greeting %d", h.Name, n+1)})
		if err != nil {
			return sdk.Outcome{}, err
		}
		if err := out.Record(ctx, sdk.Record{Kind: "greeting", ID: strconv.Itoa(n), Data: data}); err != nil {
			return sdk.Outcome{}, err
		}
	}
	return sdk.Outcome{Cursor: []byte(strconv.Itoa(next))}, nil
}
