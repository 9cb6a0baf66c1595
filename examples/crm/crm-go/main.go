// Command crm-go connects calls with Acme CRM: it finds who calls, logs calls and
// messages, and makes tickets and contacts. The same as a template is one file:
// ../templates/acme-crm.yaml.
package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

func main() { plugin.Serve(integration{}) }

// settings is what a person fills in.
type settings struct {
	Host string     `json:"host" jsonschema:"title=Host of the CRM" jsonschema_extras:"x-host=true"`
	Key  sdk.Secret `json:"key" jsonschema:"title=API key"`
}

type integration struct{ crm *client }

// Manifest implements sdk.Plugin.
func (integration) Manifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "crm-go", Label: "Acme CRM in Go", Version: "1.0.0", Kind: sdk.KindOperation, Settings: settings{},
		Description:  "Finds who calls, logs calls and messages, makes tickets and contacts.",
		Capabilities: []sdk.Capability{sdk.CanInvoke},
		Hooks: []string{
			sdk.HookGetDataIframe, sdk.HookSavePreLogCRM, sdk.HookSaveLogCRM, sdk.HookCreateSMSNote,
			sdk.HookCreateTicket, sdk.HookCreateContact, sdk.HookLookup,
		},
		DedupeContacts: "phone",
	}
}

// Open implements sdk.Plugin.
func (integration) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	var s settings
	err := in.Settings.Decode(&s)
	return integration{&client{base: "http://" + s.Host + "/api", key: s.Key}}, err
}

// Invoke implements sdk.Invoker.
func (i integration) Invoke(ctx context.Context, call sdk.HookCall) (sdk.HookResult, error) {
	var c sdk.CallHook
	if err := json.Unmarshal(call.Payload, &c); err != nil {
		return sdk.HookResult{}, &sdk.Error{Class: sdk.ClassConfig, Code: "bad_payload", Message: "the payload is no call", Safe: true}
	}
	answer, err := i.hook(ctx, call.Name, c)
	if err != nil {
		return sdk.HookResult{}, err
	}
	payload, err := json.Marshal(answer)
	return sdk.HookResult{Payload: payload}, err
}

func (i integration) hook(ctx context.Context, name string, c sdk.CallHook) (sdk.CallAnswer, error) {
	e := c.Event
	switch name {
	case sdk.HookGetDataIframe:
		return i.screen(ctx, e)
	case sdk.HookSavePreLogCRM:
		return i.crm.write(ctx, "POST", "/calls", c.IdempotencyKey, newLog(c))
	case sdk.HookSaveLogCRM:
		if c.Log == nil { // it was never connected
			return i.crm.write(ctx, "POST", "/calls", c.IdempotencyKey, newLog(c))
		}
		end := map[string]any{"result": e.Result, "seconds": e.Duration, "disposition": e.Disposition}
		if c.Contact != nil { // of several, chosen when the log was begun already
			end["contact"] = c.Contact.ID
		}
		return i.crm.write(ctx, "PUT", "/calls/"+c.Log.ID, c.IdempotencyKey, end)
	case sdk.HookCreateSMSNote:
		note := map[string]any{"direction": e.Direction, "number": e.Number, "agent": e.Agent, "text": e.Text}
		return i.crm.write(ctx, "POST", "/messages", c.IdempotencyKey, note)
	case sdk.HookCreateTicket:
		ticket := map[string]any{
			"call": e.CallID, "contact": e.Fields["contact_id"], "subject": e.Fields["subject"], "text": e.Fields["text"], "priority": e.Fields["priority"],
		}
		return i.crm.write(ctx, "POST", "/tickets", c.IdempotencyKey, ticket)
	case sdk.HookCreateContact:
		contact := map[string]any{"name": e.Fields["name"], "company": e.Fields["company"], "phone": e.Fields["phone"], "email": e.Fields["email"]}
		return i.crm.write(ctx, "POST", "/contacts", c.IdempotencyKey, contact)
	case sdk.HookLookup:
		return i.crm.written(ctx, c.IdempotencyKey)
	}
	return sdk.CallAnswer{}, &sdk.Error{Class: sdk.ClassSystem, Code: "unknown_hook", Message: fmt.Sprintf("there is no hook %q", name), Safe: true}
}

// newLog is the log of a call, with its end if it has one.
func newLog(c sdk.CallHook) map[string]any {
	e := c.Event
	out := map[string]any{
		"call": e.CallID, "agent": e.Agent, "direction": e.Direction, "number": e.Number, "started_at": e.StartedAt,
		"result": e.Result, "seconds": e.Duration, "disposition": e.Disposition,
	}
	if c.Contact != nil { // the only one that was found, or of several the one that the agent chose
		out["contact"] = c.Contact.ID
	}
	return out
}

// GetStreams implements sdk.Instance: a plugin of hooks alone has no streams.
func (integration) GetStreams(context.Context, sdk.PlanCall, *sdk.Emitter) error { return nil }

// ProcessStream implements sdk.Instance.
func (integration) ProcessStream(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
	return sdk.Outcome{}, nil
}
