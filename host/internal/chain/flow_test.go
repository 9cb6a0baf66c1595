package chain_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: G34
func TestExpressionsSeeTheContactOfTheCall(t *testing.T) {
	t.Parallel()
	c := &crm{}
	c.flow = chain.Flow{Steps: []chain.Step{{Name: "log", Endpoint: "make-log", When: func(g chain.Given) (any, error) { return g.Call["contact"], nil }}}}
	in := c.input("call.ended", sdk.HookSaveLogCRM)
	run(t, in)
	require.Empty(t, c.names(), "nobody knows who it is")
	in.Hook.Contact = &sdk.CallContact{ID: "8", Name: "Bob", Extra: map[string]any{"vip": true}}
	run(t, in)
	require.Equal(t, []string{"make-log"}, c.names())
	require.Equal(t, map[string]any{"id": "8", "name": "Bob", "extra": map[string]any{"vip": true}}, c.seen[0].given.Call["contact"])
}

// rows: G34
func TestStepsRunTopToBottomAndReadEachOther(t *testing.T) {
	t.Parallel()
	c := &crm{ends: ends{
		"find":  says(chain.Answer{Status: 200, Body: map[string]any{"items": []any{map[string]any{"id": "c-1"}}}, Items: []chain.Item{contact("c-1")}}),
		"notes": says(chain.Answer{Status: 200, Body: []any{"a note"}}),
	}}
	c.flow = chain.Flow{Steps: []chain.Step{
		{Name: "contact", Endpoint: "find", Reads: true, Contacts: true},
		{Name: "notes", Endpoint: "notes", Reads: true, When: func(g chain.Given) (any, error) { return g.Context["contact"] != nil, nil }},
	}}
	in := c.input("call.started", sdk.HookGetDataIframe)
	in.Hook.Context = map[string]json.RawMessage{"older": json.RawMessage("1")}
	out := run(t, in)
	require.Equal(t, []string{"find", "notes"}, c.names())
	require.Equal(t, "+49301234567", c.seen[0].given.Call["number"])
	require.Equal(t, 1, c.seen[1].given.Context["older"], "what earlier events left can be read")
	require.JSONEq(t, `["a note"]`, string(out.Answer.Context["notes"]))
	require.NotContains(t, out.Answer.Context, "older", "only what is new is handed back")
	require.Equal(t, []sdk.CallContact{{ID: "c-1", Name: "Ann"}}, out.Answer.Contacts)
	require.JSONEq(t, `[{"id": "c-1", "name": "Ann"}]`, string(out.Answer.Context[chain.Found]))
	require.Len(t, out.Steps, 2)
	require.Equal(t, store.HookStep{Way: store.WayChain, Name: "notes", Key: "notes", Attempt: 1, Status: 200}, out.Steps[1])
}
