package chain_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/sdk"
)

// rows: G34
func TestStepsRunTopToBottomAndReadEachOther(t *testing.T) {
	t.Parallel()
	c := &crm{ends: map[string]func(context.Context, chain.Given) (chain.Answer, error){
		"find":  says(chain.Answer{Status: 200, Body: map[string]any{"items": []any{map[string]any{"id": "c-1"}}}, Items: []chain.Item{contact("c-1", "Ann")}}),
		"notes": says(chain.Answer{Status: 200, Body: []any{"a note"}}),
	}}
	c.flows = map[string]chain.Flow{"call.started": {Steps: []chain.Step{
		{Name: "contact", Endpoint: "find", Reads: true, Contacts: true},
		{Name: "notes", Endpoint: "notes", Reads: true, When: func(g chain.Given) (any, error) { return g.Context["contact"] != nil, nil }},
	}}}
	out := run(t, c, sdk.CallEvent{Type: "call.started", Direction: "in", From: "+49301234567"}, map[string]any{"older": 1})
	require.Equal(t, []string{"find", "notes"}, c.names())
	require.Equal(t, "+49301234567", c.seen[0].given.Call["number"])
	require.Equal(t, 1, c.seen[1].given.Context["older"], "what earlier events left can be read")
	require.Equal(t, []any{"a note"}, out.Context["notes"])
	require.NotContains(t, out.Context, "older", "only what is new is handed back")
	require.Equal(t, []sdk.Contact{{ID: "c-1", Name: "Ann"}}, out.Contacts)
	require.Equal(t, []any{map[string]any{"id": "c-1", "name": "Ann"}}, out.Context[chain.Found])
	require.False(t, out.Wrote)
}
