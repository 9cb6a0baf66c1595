package chain_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// lostLog is the write that questions are about.
func lostLog() []store.HookStep {
	e := unknown()
	return []store.HookStep{{Way: store.WayChain, Name: "log", Key: "log", Attempt: 1, Write: true, Error: &e}}
}

// asks returns the input of a question about the log of a call that ended.
func (c *crm) asks() chain.Input {
	in := c.input("call.ended", sdk.HookLookup)
	in.Hook.Hook, in.Lost = sdk.HookSaveLogCRM, lostLog()
	return in
}

// A question says that a write did not arrive only if all who would know it were asked
// and say so: else it would be sent a second time.
//
// rows: F31, I08
func TestSilenceIsNoAnswer(t *testing.T) {
	t.Parallel()
	find := chain.Step{Name: "logs", Endpoint: "find", Reads: true, Shape: "call_log"}
	no := func(chain.Given) (any, error) { return false, nil }
	broken := func(chain.Given) (any, error) { return nil, errors.New("no such name") }
	with := func(change func(*chain.Step)) []chain.Step {
		s := find
		change(&s)
		return []chain.Step{s}
	}
	for name, tc := range map[string]struct {
		flow chain.Flow
		ends ends
		want string // the code; empty: it did not arrive
	}{
		"asked, and there is none":        {flow: chain.Flow{Steps: []chain.Step{find}}},
		"its condition is false":          {flow: chain.Flow{Steps: with(func(s *chain.Step) { s.When = no })}, want: "not_asked"},
		"its condition is broken":         {flow: chain.Flow{Steps: with(func(s *chain.Step) { s.When = broken })}, want: "expression_failed"},
		"its list is empty":               {flow: chain.Flow{Steps: with(func(s *chain.Step) { s.ForEach = func(chain.Given) (any, error) { return []any{}, nil } })}, want: "not_asked"},
		"its list is broken":              {flow: chain.Flow{Steps: with(func(s *chain.Step) { s.ForEach = broken })}, want: "expression_failed"},
		"one of two is left out":          {flow: chain.Flow{Steps: append(with(func(s *chain.Step) { s.When, s.Name = no, "old" }), find)}, want: "not_asked"},
		"what is left out finds others":   {flow: chain.Flow{Steps: append(with(func(s *chain.Step) { s.When, s.Name, s.Shape = no, "tickets", "ticket" }), find)}},
		"it has another form":             {flow: chain.Flow{Steps: []chain.Step{find}}, ends: ends{"find": says(chain.Answer{Status: 200, Bare: true})}, want: "not_asked"},
		"things of another shape":         {flow: chain.Flow{Steps: with(func(s *chain.Step) { s.Shape = "contact" })}, ends: ends{"find": says(item("contact", "p-1"))}, want: "not_asked"},
		"the CRM fails":                   {flow: chain.Flow{Steps: []chain.Step{find}}, ends: ends{"find": fails(notSent())}, want: "unreachable"},
		"it says nothing":                 {flow: chain.Flow{Steps: with(func(s *chain.Step) { s.Shape = "" }), ID: func(chain.Given) (any, error) { return nil, nil }}},
		"what it says is broken":          {flow: chain.Flow{Steps: []chain.Step{find}, ID: broken}, want: "expression_failed"},
		"it says nothing, and is not run": {flow: chain.Flow{Steps: with(func(s *chain.Step) { s.Shape, s.When = "", no }), ID: func(chain.Given) (any, error) { return nil, nil }}, want: "not_asked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &crm{flow: tc.flow, ends: tc.ends}
			out := chain.New(still()).Run(t.Context(), c.asks())
			require.Empty(t, out.Answer.ID)
			if tc.want == "" {
				require.Nil(t, out.Err)
				return
			}
			require.NotNil(t, out.Err, "nobody knows, and it would be sent again")
			require.Equal(t, tc.want, out.Err.Code)
		})
	}
}

// A question is asked only about writes that its answer says something of.
//
// rows: F31, I08
func TestAQuestionIsAboutWhatItFinds(t *testing.T) {
	t.Parallel()
	find := chain.Flow{Steps: []chain.Step{{Name: "logs", Endpoint: "find", Reads: true, Shape: "call_log"}}}
	flow := chain.Flow{
		Steps:    []chain.Step{{Name: "log", Endpoint: "log", Shape: "call_log"}, {Name: "tag", Endpoint: "tag"}},
		Triggers: []chain.Step{{Endpoint: "tell", Shape: "call_log"}},
	}
	lost := func(way store.HookWay, name string) []store.HookStep {
		return []store.HookStep{{Way: way, Name: name, Key: name, Write: true}}
	}
	require.True(t, chain.Asks(find, flow, sdk.HookSaveLogCRM, lost(store.WayChain, "log")))
	require.False(t, chain.Asks(find, flow, sdk.HookSaveLogCRM, lost(store.WayChain, "tag")), "that there is a log says nothing of its tag")
	require.False(t, chain.Asks(find, flow, sdk.HookSaveLogCRM, lost(store.WayTrigger, "tell")))
	require.False(t, chain.Asks(find, flow, sdk.HookCreateTicket, lost(store.WayChain, "log")), "it finds no tickets")
	require.True(t, chain.Asks(find, flow, sdk.HookSaveLogCRM, nil), "nothing was sent that was not kept")
	require.False(t, chain.Asks(find, chain.Flow{Steps: flow.Steps[1:]}, sdk.HookSaveLogCRM, nil), "the one write is the one that was lost")
	require.False(t, chain.Asks(chain.Flow{}, flow, sdk.HookSaveLogCRM, lost(store.WayChain, "log")))
	find.ID = func(chain.Given) (any, error) { return "mine", nil }
	require.True(t, chain.Asks(find, flow, sdk.HookSaveLogCRM, lost(store.WayChain, "tag")), "it says itself what it found")
}

// doubted is a CRM with a question of its own beside the chain of the hook.
type doubted struct {
	*crm
	question chain.Flow
}

func (a doubted) Flow(hook string, event store.CallEventType) chain.Flow {
	if hook == sdk.HookLookup {
		return a.question
	}
	return a.crm.Flow(hook, event)
}

func (a doubted) As(_ string, it chain.Item) (any, bool) {
	return map[string]any{"data": map[string]any{"id": it.Values["id"]}}, true
}

// What a question finds is what the steps after the write read, whether the write was
// noted or the host was killed.
//
// rows: F31, G34
func TestWhatAQuestionFindsIsReadByTheStepsAfter(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		steps []chain.Step
		lost  []store.HookStep
		code  string
	}{
		"its answer was lost":    {steps: []chain.Step{{Name: "log", Endpoint: "log", Shape: "call_log"}, {Name: "tag", Endpoint: "tag"}}, lost: lostLog()},
		"the one write was lost": {steps: []chain.Step{{Name: "log", Endpoint: "log", Shape: "call_log"}, {Name: "tag", Endpoint: "tag", Reads: true}}},
		"nobody knows which":     {steps: []chain.Step{{Name: "log", Endpoint: "log", Shape: "call_log"}, {Name: "tag", Endpoint: "tag"}}, code: "not_asked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := doubted{&crm{ends: ends{"find": says(item("call_log", "l-7"))}}, chain.Flow{Steps: []chain.Step{{Name: "logs", Endpoint: "find", Reads: true, Shape: "call_log"}}}}
			c.flow = chain.Flow{Steps: tc.steps}
			in := c.asks()
			in.Target, in.Lost = c, tc.lost
			out := chain.New(still()).Run(t.Context(), in)
			if tc.code != "" {
				require.NotNil(t, out.Err)
				require.Equal(t, tc.code, out.Err.Code)
				return
			}
			require.Nil(t, out.Err)
			require.Equal(t, "l-7", out.Answer.ID)
			require.Len(t, out.Lost, 1)
			require.Equal(t, "log", out.Lost[0].Key)
			require.JSONEq(t, `{"data": {"id": "l-7"}}`, string(out.Answer.Context["log"]))

			next := c.input("call.ended", sdk.HookSaveLogCRM)
			next.Target, next.Answer = c, out.Answer
			next.Done = []store.HookStep{{Way: store.WayChain, Name: "log", Key: "log", Attempt: 1, Write: true}}
			c.seen = nil
			require.Nil(t, chain.New(still()).Run(t.Context(), next).Err)
			require.Equal(t, []string{"tag"}, c.names())
			require.Equal(t, map[string]any{"data": map[string]any{"id": "l-7"}}, c.seen[0].given.Context["log"])
		})
	}
}

// Before a flow that writes several times sends one of them, what was done is kept, with
// the write that is on its way; one that writes once keeps nothing.
//
// rows: F31, I08
func TestWhatWasDoneIsKeptBeforeTheNextWrite(t *testing.T) {
	t.Parallel()
	c := &crm{ends: ends{"log": says(item("call_log", "l-1"))}}
	c.flow = chain.Flow{Steps: []chain.Step{
		{Name: "who", Endpoint: "who", Reads: true}, {Name: "log", Endpoint: "log", Shape: "call_log"}, {Name: "tag", Endpoint: "tag"},
	}}
	type kept struct {
		keys  []string
		lost  string
		id    string
		calls []string
	}
	var saved []kept
	in := c.input("call.ended", sdk.HookSaveLogCRM)
	in.Save = func(_ context.Context, steps []store.HookStep, a sdk.CallAnswer) error {
		k := kept{id: a.ID, calls: c.names()}
		for _, s := range steps {
			k.keys = append(k.keys, s.Key)
			if s.Error != nil && s.Error.Outcome == store.OutcomeUnknown {
				k.lost = s.Key
			}
		}
		saved = append(saved, k)
		return nil
	}
	require.Nil(t, chain.New(still()).Run(t.Context(), in).Err)
	require.Equal(t, []kept{
		{keys: []string{"who", "log"}, lost: "log", calls: []string{"who"}},
		{keys: []string{"who", "log", "tag"}, lost: "tag", id: "l-1", calls: []string{"who", "log"}},
	}, saved)

	c.seen = nil
	in.Save = func(context.Context, []store.HookStep, sdk.CallAnswer) error { return errors.New("the disk is full") }
	out := chain.New(still()).Run(t.Context(), in)
	require.NotNil(t, out.Err)
	require.Equal(t, store.OutcomeNotSent, out.Err.Outcome)
	require.Equal(t, []string{"who"}, c.names(), "nothing is sent that is not kept")

	c.flow.Steps = c.flow.Steps[:2]
	c.seen = nil
	require.Nil(t, chain.New(still()).Run(t.Context(), in).Err, "of one write nothing is to be kept")
}

// What a condition said is not asked again once a write behind it arrived: what that
// write made may have changed it.
//
// rows: G24, F31
func TestAConditionIsDecidedOnce(t *testing.T) {
	t.Parallel()
	c := &crm{ends: ends{"make": says(item("call_log", "l-1")), "tag": failsOnce(notSent(), chain.Answer{Status: 200})}}
	there := func(want bool) chain.Expression {
		return func(g chain.Given) (any, error) {
			log, _ := g.Call["log"].(map[string]any)
			return (log["id"] != nil) == want, nil
		}
	}
	c.flow = chain.Flow{Steps: []chain.Step{
		{Name: "done", Endpoint: "end", When: there(true)}, {Name: "made", Endpoint: "make", Shape: "call_log", When: there(false)}, {Name: "tag", Endpoint: "tag"},
	}}
	in := c.input("call.ended", sdk.HookSaveLogCRM)
	first := chain.New(still()).Run(t.Context(), in)
	require.NotNil(t, first.Err)
	next := again(in, first)
	next.Hook.Log = &sdk.CallLog{ID: "l-1"} // that is the call's now
	require.Nil(t, chain.New(still()).Run(t.Context(), next).Err)
	require.Equal(t, []string{"make", "tag", "tag"}, c.names(), "the log that it made itself is not completed besides")

	c.ends["make"] = fails(notSent())
	c.seen = nil
	first = chain.New(still()).Run(t.Context(), in)
	next = again(in, first)
	next.Hook.Log = &sdk.CallLog{ID: "l-9"}
	require.Nil(t, chain.New(still()).Run(t.Context(), next).Err)
	require.Equal(t, []string{"make", "end", "tag"}, c.names(), "before anything arrived it is")
}

// A list may be another one when its step is tried again: what was done is known by the
// item, and not by its place.
//
// rows: F31
func TestAListThatChangesIsDoneByItsItems(t *testing.T) {
	t.Parallel()
	person := func(id string) any { return map[string]any{"id": id, "name": "n-" + id} }
	for name, tc := range map[string]struct {
		before, after []any
		fails         any
		want          []any // what was sent in all
		answers       string
	}{
		"one comes in front": {
			[]any{person("a"), person("b"), person("c")},
			[]any{person("x"), person("a"), person("b"), person("c")},
			person("b"),
			[]any{person("a"), person("b"), person("x"), person("b"), person("c")},
			`["made x", "made a", "made b", "made c"]`,
		},
		"the first goes":     {[]any{person("a"), person("b"), person("c")}, []any{person("b"), person("c")}, person("b"), []any{person("a"), person("b"), person("b"), person("c")}, `["made b", "made c"]`},
		"the order changes":  {[]any{person("a"), person("b")}, []any{person("b"), person("a")}, person("b"), []any{person("a"), person("b"), person("b")}, `["made b", "made a"]`},
		"a name changes":     {[]any{person("a"), person("b")}, []any{map[string]any{"id": "a", "name": "new"}, person("b")}, person("b"), []any{person("a"), person("b"), person("b")}, `["made a", "made b"]`},
		"values without ids": {[]any{"a", "b"}, []any{"x", "a", "b"}, "b", []any{"a", "b", "x", "b"}, `["made x", "made a", "made b"]`},
		"the same one twice": {[]any{"a", "a", "b"}, []any{"a", "a", "b"}, "b", []any{"a", "a", "b", "b"}, `["made a", "made a", "made b"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, down, sent := tc.before, true, []any{}
			c := &crm{ends: ends{"note": func(_ context.Context, g chain.Given) (chain.Answer, error) {
				sent = append(sent, g.Item)
				if same(g.Item, tc.fails) && down {
					e := notSent()
					return chain.Answer{}, &e
				}
				id := g.Item
				if m, ok := g.Item.(map[string]any); ok {
					id = m["id"]
				}
				return chain.Answer{Status: 200, Body: "made " + id.(string)}, nil
			}}}
			c.flow = chain.Flow{Steps: []chain.Step{{Name: "notes", Endpoint: "note", ForEach: func(chain.Given) (any, error) { return list, nil }}}}
			in := c.input("call.ended", sdk.HookSaveLogCRM)
			first := chain.New(still()).Run(t.Context(), in)
			require.NotNil(t, first.Err)
			list, down = tc.after, false
			next := again(in, first)
			second := chain.New(still()).Run(t.Context(), next)
			require.Nil(t, second.Err)
			require.Equal(t, tc.want, sent)
			require.JSONEq(t, tc.answers, string(second.Answer.Context["notes"]))
			require.JSONEq(t, "null", string(second.Answer.Context["notes[]"]), "whose they are is of no use any more")
		})
	}
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// What was found and was known already says nothing of an attempt that was killed
// before it sent anything; of one that a backup left behind it may say everything.
//
// rows: F31, I08
func TestWhatWasKnownIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, cut := range []bool{true, false} {
		c := doubted{&crm{ends: ends{"find": says(item("call_log", "l-7"))}}, chain.Flow{Steps: []chain.Step{{Name: "logs", Endpoint: "find", Reads: true, Shape: "call_log"}}}}
		c.flow = chain.Flow{Steps: []chain.Step{{Name: "log", Endpoint: "log", Shape: "call_log"}, {Name: "tag", Endpoint: "tag"}}}
		in := c.asks()
		in.Target, in.Lost, in.Cut, in.Answer.ID = c, nil, cut, "l-7"
		out := chain.New(still()).Run(t.Context(), in)
		require.Empty(t, out.Lost)
		if cut {
			require.Nil(t, out.Err)
			require.Empty(t, out.Answer.ID, "it goes on behind what it had")
			continue
		}
		require.NotNil(t, out.Err)
	}
}
