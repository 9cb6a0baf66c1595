package main

import (
	"cmp"
	"context"
	"time"

	"github.com/jackfield/jackfield/host/internal/callbox"
	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// templateFlows run what templates declare for the events of calls.
type templateFlows struct {
	*templates
	lookup time.Duration
}

var _ flows = templateFlows{}

// plan implements flows. Of an integration that cannot be called now nobody knows what
// it would run: its events wait.
func (f templateFlows) plan(in store.Integration, t store.CallEventType) callbox.Plan {
	hook := callbox.Hook(t)
	flow, err := f.declares(in, hook, t)
	if err != nil {
		return callbox.Plan{Way: store.WayChain, Runs: []string{cmp.Or(in.Template, in.Plugin)}, Writes: t.Writes(), Lookup: cmp.Or(in.Lookup, f.lookup)}
	}
	plan := callbox.Plan{Lookup: cmp.Or(flow.Deadline, f.lookup), Same: flow.Same}
	for _, s := range flow.Steps {
		plan.Runs = append(plan.Runs, s.Endpoint)
		plan.Writes = plan.Writes || !s.Reads
	}
	for _, s := range flow.Triggers {
		plan.Triggers = append(plan.Triggers, s.Endpoint)
		plan.Writes = plan.Writes || !s.Reads
	}
	if len(plan.Runs) == 0 && (flow.Screen != nil || flow.Route != nil || flow.Reject != nil) {
		plan.Runs = []string{cmp.Or(in.Template, in.Plugin)} // it answers without asking anybody
	}
	if len(plan.Runs) > 0 {
		plan.Way = store.WayChain
	}
	return plan
}

// run implements flows.
func (f templateFlows) run(ctx context.Context, in store.Integration, job callbox.Job) callbox.Result {
	input := chain.Input{Name: job.Hook, Hook: job.Payload(), Done: job.Done, Answer: job.Answer, Lost: job.Lost, Cut: job.Cut, Save: job.Save}
	if job.Ask {
		if input.Name, input.Save = sdk.HookLookup, nil; !f.asks(in, job, job.Lost) {
			return callbox.Result{Err: &store.HookError{
				Class: string(sdk.ClassConfig), Code: "no_hook", Message: "template " + cmp.Or(in.Template, in.Plugin) + " does not say how to ask what became of this write", Outcome: store.OutcomeNotSent,
			}}
		}
	}
	res := f.runHook(ctx, in, input)
	lost := job.Lost
	if !job.Ask {
		lost = callbox.Lost(res.Steps)
	}
	return callbox.Result{Steps: res.Steps, Answer: res.Answer, Err: res.Err, Asks: f.asks(in, job, lost), Lost: res.Lost}
}

// asks reports whether the template says how to ask what became of writes of a job.
func (f templateFlows) asks(in store.Integration, job callbox.Job, lost []store.HookStep) bool {
	question, err := f.declares(in, sdk.HookLookup, job.Event.Type)
	if err != nil {
		return false
	}
	flow, err := f.declares(in, job.Hook, job.Event.Type)
	return err == nil && chain.Asks(question, flow, job.Hook, lost)
}
