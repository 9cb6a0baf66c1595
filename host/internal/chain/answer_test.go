package chain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/sdk"
)

func item(shape, id string) chain.Answer {
	return chain.Answer{Status: 200, Items: []chain.Item{{Shape: shape, Values: map[string]string{"id": id, "url": "https://crm.example/" + id}}}}
}

// What a hook answers is what it made: neither what it looked up on the way, nor a
// thing of another kind, nor what a trigger answered.
//
// rows: G24, G34
func TestAHookAnswersWhatItMade(t *testing.T) {
	t.Parallel()
	log := chain.Step{Name: "log", Endpoint: "log"}
	for name, tc := range map[string]struct {
		hook string
		flow chain.Flow
		want string
	}{
		"the log":                  {sdk.HookSavePreLogCRM, chain.Flow{Steps: []chain.Step{log}}, "l-1"},
		"not what was read after":  {sdk.HookSavePreLogCRM, chain.Flow{Steps: []chain.Step{log, {Name: "other", Endpoint: "other", Reads: true}}}, "l-1"},
		"not a log that was read":  {sdk.HookSaveLogCRM, chain.Flow{Steps: []chain.Step{{Name: "other", Endpoint: "other", Reads: true}}}, ""},
		"not a thing of a shape":   {sdk.HookSaveLogCRM, chain.Flow{Steps: []chain.Step{log, {Name: "person", Endpoint: "person"}}}, "l-1"},
		"not what has no id":       {sdk.HookSaveLogCRM, chain.Flow{Steps: []chain.Step{log, {Name: "bare", Endpoint: "bare"}}}, "l-1"},
		"not a trigger's":          {sdk.HookSaveLogCRM, chain.Flow{Steps: []chain.Step{log}, Triggers: []chain.Step{{Endpoint: "other"}}}, "l-1"},
		"nor a trigger's alone":    {"", chain.Flow{Triggers: []chain.Step{{Endpoint: "other"}}}, ""},
		"of a form a trigger's":    {sdk.HookCreateContact, chain.Flow{Triggers: []chain.Step{{Endpoint: "person"}}}, "p-1"},
		"the contact":              {sdk.HookCreateContact, chain.Flow{Steps: []chain.Step{{Name: "person", Endpoint: "person"}, log}}, "p-1"},
		"of a ticket form none":    {sdk.HookCreateTicket, chain.Flow{Steps: []chain.Step{{Name: "person", Endpoint: "person"}}}, ""},
		"a question's is read":     {sdk.HookLookup, chain.Flow{Steps: []chain.Step{{Name: "other", Endpoint: "other", Reads: true, Shape: "call_log"}}}, "l-2"},
		"and of the shape as well": {sdk.HookLookup, chain.Flow{Steps: []chain.Step{{Name: "other", Endpoint: "other", Reads: true, Shape: "call_log"}, {Name: "person", Endpoint: "person", Reads: true}}}, "l-2"},
		"unless the hook says so":  {sdk.HookSaveLogCRM, chain.Flow{Steps: []chain.Step{log}, ID: func(chain.Given) (any, error) { return "mine", nil }}, "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &crm{flow: tc.flow, ends: ends{
				"log": says(item("call_log", "l-1")), "other": says(item("call_log", "l-2")), "person": says(item("contact", "p-1")),
				"bare": says(chain.Answer{Status: 204, Items: []chain.Item{{Shape: "call_log", Values: map[string]string{}}}}),
			}}
			in := c.input("call.ended", tc.hook)
			if tc.hook == sdk.HookLookup {
				in.Hook.Hook, in.Lost = sdk.HookSaveLogCRM, lostLog()
			}
			require.Equal(t, tc.want, run(t, in).Answer.ID)
		})
	}
}
