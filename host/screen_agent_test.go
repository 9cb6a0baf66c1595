package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// Whoever had a call, or heard it ring, sees it until another has it.
//
// rows: K25
func TestWhoMaySeeACall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events  string // type or update, agent, transfer_to
		without string
	}{
		"it rings":                  {"call.started:ada", ""},
		"it rings at two":           {"call.started:ada call.started:ben", ""},
		"one takes it":              {"call.started:ada call.started:ben call.connected:ben", "ada"},
		"who is not told":           {"call.started:ada call.connected:", ""},
		"a transfer":                {"call.started:ada call.connected:ada transfer:ada:ben", "ada"},
		"a transfer by who knows":   {"call.started:ada call.connected:ada transfer::ben", "ada"},
		"a transfer to a queue":     {"call.connected:ada transfer:ada:600 call.connected:ben", "ada"},
		"who takes it over":         {"call.connected:ada hold:ada resume:ben", "ada"},
		"a transfer that came back": {"call.connected:ada transfer:ada:ben resume:ada", "ben"},
		"a transfer and another":    {"call.connected:ada transfer:ada:ben transfer:ben:cleo", "ada ben"},
		"and back":                  {"call.connected:ada transfer:ada:ben transfer:ben:ada", "ben"},
		"a late note and wrap-up":   {"call.connected:ada transfer:ada:ben note:ada contact:ada ticket.create:ada call.wrapup:ada call.ended:ada", "ada"},
	} {
		var who holders
		for text := range strings.FieldsSeq(c.events) {
			parts := strings.SplitN(text+"::", ":", 3)
			e := sdk.CallEvent{Type: parts[0], Agent: parts[1], TransferTo: strings.Trim(parts[2], ":")}
			if !strings.Contains(e.Type, ".") {
				e.Type, e.Update = "call.updated", parts[0]
			}
			who.take(e)
		}
		var out []string
		for _, agent := range []string{"ada", "ben", "cleo", "supervisor"} {
			if who.without(agent) {
				out = append(out, agent)
			}
		}
		require.Equal(t, strings.Fields(c.without), append([]string{}, out...), name)
	}
}
