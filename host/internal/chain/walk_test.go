package chain_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// failsOnce fails the first time.
func failsOnce(e store.HookError, then chain.Answer) func(context.Context, chain.Given) (chain.Answer, error) {
	calls := 0
	return func(context.Context, chain.Given) (chain.Answer, error) {
		if calls++; calls == 1 {
			return chain.Answer{}, &e
		}
		return then, nil
	}
}

func fails(e store.HookError) func(context.Context, chain.Given) (chain.Answer, error) {
	return func(context.Context, chain.Given) (chain.Answer, error) { return chain.Answer{}, &e }
}

func notSent() store.HookError {
	return store.HookError{Class: string(sdk.ClassTransient), Code: "unreachable", Outcome: store.OutcomeNotSent}
}

func unknown() store.HookError {
	return store.HookError{Class: string(sdk.ClassTransient), Code: "timeout", Outcome: store.OutcomeUnknown}
}

// again is the input of the attempt after one that ended so.
func again(in chain.Input, out chain.Result) chain.Input {
	for _, s := range out.Steps {
		if s.Arrived() || s.Skipped != "" {
			in.Done = append(in.Done, s)
		}
	}
	in.Answer = out.Answer
	in.Hook.Attempt++
	return in
}

// rows: F31, G25
func TestAWriteThatArrivedIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	made := chain.Answer{Status: 201, Body: map[string]any{"id": "l-1"}, Items: []chain.Item{{Shape: "call_log", Values: map[string]string{"id": "l-1"}}}}
	c := &crm{ends: ends{"log": says(made), "tag": failsOnce(notSent(), chain.Answer{Status: 200})}}
	c.flow = chain.Flow{Steps: []chain.Step{{Name: "log", Endpoint: "log"}, {Name: "tag", Endpoint: "tag"}}}
	in := c.input("call.ended", sdk.HookSaveLogCRM)

	first := chain.New(still()).Run(t.Context(), in)
	require.NotNil(t, first.Err)
	require.Equal(t, store.OutcomeNotSent, first.Err.Outcome)
	require.Equal(t, "l-1", first.Answer.ID)

	second := chain.New(still()).Run(t.Context(), again(in, first))
	require.Nil(t, second.Err)
	require.Equal(t, []string{"log", "tag", "tag"}, c.names())
	require.Equal(t, map[string]any{"id": "l-1"}, c.seen[2].given.Context["log"], "what the first attempt got can be read")
	require.Equal(t, "l-1", second.Answer.ID, "and is answered")
	require.JSONEq(t, `{"id": "l-1"}`, string(second.Answer.Context["log"]))
}

// rows: F31
func TestAStepOfAListThatArrivedIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	c := &crm{}
	down := true
	c.ends = ends{"note": func(_ context.Context, g chain.Given) (chain.Answer, error) {
		if g.Item == "c" && down {
			e := notSent()
			return chain.Answer{}, &e
		}
		return chain.Answer{Status: 200, Body: fmt.Sprint("made ", g.Item)}, nil
	}}
	c.flow = chain.Flow{Steps: []chain.Step{{Name: "notes", Endpoint: "note", ForEach: func(chain.Given) (any, error) { return []any{"a", "b", "c", "d"}, nil }}}}
	in := c.input("call.ended", sdk.HookSaveLogCRM)
	first := chain.New(still()).Run(t.Context(), in)
	require.NotNil(t, first.Err)
	down = false
	second := chain.New(still()).Run(t.Context(), again(in, first))
	require.Nil(t, second.Err)
	items := []any{}
	for _, a := range c.seen {
		items = append(items, a.given.Item)
	}
	require.Equal(t, []any{"a", "b", "c", "c", "d"}, items)
	require.JSONEq(t, `["made a", "made b", "made c", "made d"]`, string(second.Answer.Context["notes"]))
	require.Equal(t, first.Steps[2].Key, second.Steps[0].Key, "an item has a key of its own")
	require.NotEqual(t, second.Steps[0].Key, second.Steps[1].Key)
}

// rows: F31
func TestWhatIsKnownOfAWriteIsTold(t *testing.T) {
	t.Parallel()
	flow := chain.Flow{Steps: []chain.Step{{Name: "a", Endpoint: "a"}, {Name: "b", Endpoint: "b"}}}
	for name, tc := range map[string]struct {
		flow  func(*chain.Flow)
		ends  ends
		want  string
		again bool
	}{
		"surely not":                       {ends: ends{"b": fails(notSent())}, want: store.OutcomeNotSent},
		"refused":                          {ends: ends{"b": fails(store.HookError{Code: "http_422", Outcome: store.OutcomeFailed})}, want: store.OutcomeFailed},
		"nobody knows":                     {ends: ends{"a": fails(unknown())}, want: store.OutcomeUnknown},
		"but it may be repeated":           {flow: func(f *chain.Flow) { f.Steps[0].Again = true }, ends: ends{"a": fails(unknown())}, want: store.OutcomeUnknown, again: true},
		"nothing is written by a read":     {flow: func(f *chain.Flow) { f.Steps[0].Reads = true }, ends: ends{"a": fails(unknown())}, want: store.OutcomeNotSent},
		"an optional one counts as well":   {flow: func(f *chain.Flow) { f.Steps[0].Optional = true }, ends: ends{"a": fails(unknown()), "b": fails(notSent())}, want: store.OutcomeUnknown},
		"a trigger's counts for the whole": {flow: func(f *chain.Flow) { f.Triggers = []chain.Step{{Endpoint: "t"}} }, ends: ends{"a": fails(notSent()), "t": fails(unknown())}, want: store.OutcomeUnknown},
		"an error of another kind":         {ends: ends{"a": func(context.Context, chain.Given) (chain.Answer, error) { return chain.Answer{}, errors.New("bug") }}, want: store.OutcomeNotSent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &crm{flow: flow, ends: tc.ends}
			c.flow.Steps = append([]chain.Step(nil), flow.Steps...)
			if tc.flow != nil {
				tc.flow(&c.flow)
			}
			out := chain.New(still()).Run(t.Context(), c.input("call.ended", sdk.HookSaveLogCRM))
			require.NotNil(t, out.Err)
			require.Equal(t, tc.want, out.Err.Outcome)
			require.Equal(t, tc.again, out.Err.Again)
		})
	}
}

// rows: G34
func TestAnOptionalStepThatFailsIsAWarning(t *testing.T) {
	t.Parallel()
	c := &crm{ends: ends{"a": fails(store.HookError{Code: "http_404", Outcome: store.OutcomeFailed})}}
	c.flow = chain.Flow{Steps: []chain.Step{{Name: "a", Endpoint: "a", Optional: true}, {Name: "b", Endpoint: "b"}, {Name: "c", Endpoint: "c"}}}
	out := run(t, c.input("call.ended", sdk.HookSaveLogCRM))
	require.Equal(t, []string{"a", "b", "c"}, c.names())
	require.Equal(t, "http_404", out.Steps[0].Error.Code)

	c.flow.Steps[0].Optional = false
	c.seen = nil
	stopped := chain.New(still()).Run(t.Context(), c.input("call.ended", sdk.HookSaveLogCRM))
	require.NotNil(t, stopped.Err)
	require.Equal(t, []string{"a"}, c.names())
	require.Equal(t, "step a failed", stopped.Steps[2].Skipped)
}

// rows: G27
func TestErrorsOfFieldsAreAnswered(t *testing.T) {
	t.Parallel()
	c := &crm{ends: ends{"add": fails(store.HookError{Code: "http_422", Outcome: store.OutcomeFailed, Fields: map[string]string{"subject": "is too short"}})}}
	c.flow = chain.Flow{Steps: []chain.Step{{Name: "ticket", Endpoint: "add"}}}
	in := c.input("ticket.create", sdk.HookCreateTicket)
	in.Hook.Event.Fields = map[string]any{"subject": "x"}
	out := chain.New(still()).Run(t.Context(), in)
	require.Equal(t, map[string]string{"subject": "is too short"}, out.Answer.FieldErrors)
	require.Equal(t, map[string]any{"subject": "x"}, c.seen[0].given.Body, "the form is what the endpoint is given")
}

// rows: G23
func TestALookupThatTakesTooLongIsATimeoutWithWhatWasFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &crm{ends: ends{
			"find": says(chain.Answer{Status: 200, Items: []chain.Item{contact("c-1")}}),
			"slow": func(ctx context.Context, _ chain.Given) (chain.Answer, error) {
				<-ctx.Done()
				e := unknown()
				return chain.Answer{}, &e
			},
		}}
		c.flow = chain.Flow{Deadline: 3 * time.Second, Steps: []chain.Step{
			{Name: "a", Endpoint: "find", Reads: true, Contacts: true}, {Name: "b", Endpoint: "slow", Reads: true}, {Name: "c", Endpoint: "more", Reads: true},
		}, Screen: func(g chain.Given) (json.RawMessage, []string) {
			raw, _ := json.Marshal(g.Context[chain.Found])
			return raw, nil
		}}
		begin := time.Now()
		out := chain.New(chain.Options{}).Run(t.Context(), c.input("call.started", sdk.HookGetDataIframe))
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.NotNil(t, out.Err)
		require.Equal(t, "lookup_timeout", out.Err.Code)
		require.Equal(t, string(sdk.ClassTransient), out.Err.Class)
		require.Len(t, out.Answer.Contacts, 1)
		require.JSONEq(t, `[{"id": "c-1", "name": "Ann"}]`, string(out.Answer.Iframe))
	})
}

func TestAFlowIsBounded(t *testing.T) {
	t.Parallel()
	many := make([]any, 150)
	all := func(chain.Given) (any, error) { return many, nil }
	c := &crm{ends: ends{"big": says(chain.Answer{Status: 200, Body: strings.Repeat("x", 70<<10)})}}
	c.flow = chain.Flow{Steps: []chain.Step{
		{Name: "big", Endpoint: "big", Reads: true}, {Name: "a", Endpoint: "a", Reads: true, ForEach: all}, {Name: "b", Endpoint: "b", Reads: true, ForEach: all},
	}}
	out := chain.New(still()).Run(t.Context(), c.input("call.started", sdk.HookGetDataIframe))
	require.NotNil(t, out.Err)
	require.Equal(t, "too_many_calls", out.Err.Code)
	require.Len(t, c.names(), 200)
	require.NotContains(t, out.Answer.Context, "big", "what is too large is not kept for later events")
	require.Contains(t, out.Answer.Context, "a")
	warned := []string{}
	for _, s := range out.Steps {
		warned = append(warned, s.Warnings...)
	}
	require.Contains(t, warned, "it was done for the first 100 of 150")
	require.Contains(t, warned, "what is kept under big is too large for later events")
}

// rows: G23
func TestARingingCallIsRoutedOrRefused(t *testing.T) {
	t.Parallel()
	says := func(v any) chain.Expression { return func(chain.Given) (any, error) { return v, nil } }
	c := &crm{flow: chain.Flow{Route: says("queue-7")}}
	out := run(t, c.input("call.started", sdk.HookGetDataIframe))
	require.Equal(t, &sdk.CallRoute{To: "queue-7"}, out.Answer.Route)
	c.flow.Reject = says("blocked")
	out = run(t, c.input("call.started", sdk.HookGetDataIframe))
	require.Equal(t, &sdk.CallReject{Reason: "blocked"}, out.Answer.Reject)
	require.Nil(t, out.Answer.Route, "one of both at most")
	c.flow.Reject = says(false)
	require.Nil(t, run(t, c.input("call.started", sdk.HookGetDataIframe)).Answer.Reject)
}
