package sdktest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/sdk"
)

// work processes the streams, those of connectors of a lower order first, and asks
// before each connector whether it takes part.
func (r *run) work(ctx context.Context) error {
	r.parts, r.done, r.result.Skipped = map[string]*sdk.ConnectorResult{}, map[string]bool{}, map[string]string{}
	for {
		next, ok := r.next()
		if err := r.ask(ctx, next, ok); err != nil {
			return err
		}
		if !ok {
			return nil
		}
		r.done[next.ID] = true
		if _, skipped := r.result.Skipped[next.Connector]; skipped {
			continue
		}
		part := r.part(next.Connector)
		before := r.emitted()
		err := r.stream(ctx, next)
		part.Read += int64(r.emitted() - before)
		if err != nil {
			return err
		}
		part.Processed++
	}
}

func (r *run) emitted() int {
	return len(r.result.Records) + len(r.result.Members) + len(r.result.Activities)
}

// next returns the first stream that is left, of the lowest order.
func (r *run) next() (next sdk.Stream, ok bool) {
	for _, s := range r.result.Streams {
		if !r.done[s.ID] && (!ok || r.order(s.Connector) < r.order(next.Connector)) {
			next, ok = s, true
		}
	}
	return next, ok
}

func (r *run) order(connector string) int {
	for _, c := range r.manifest.Connectors {
		if c.Name == connector {
			return c.Order
		}
	}
	return 0
}

func (r *run) part(connector string) *sdk.ConnectorResult {
	p := r.parts[connector]
	if p == nil {
		p = &sdk.ConnectorResult{Connector: connector, Code: "completed"}
		r.parts[connector] = p
	}
	return p
}

// ask asks for the connectors whose turn has come: up to the order of the next
// stream, and all that are left if there is none.
func (r *run) ask(ctx context.Context, next sdk.Stream, more bool) error {
	a, ok := r.instance.(sdk.Allower)
	if !ok || !r.manifest.Has(sdk.CanAllow) {
		return nil
	}
	connectors := slices.Clone(r.opts.Connectors)
	slices.SortStableFunc(connectors, func(a, b string) int { return r.order(a) - r.order(b) })
	for _, c := range connectors {
		if r.parts[c] != nil || more && r.order(c) > r.order(next.Connector) {
			continue
		}
		call := sdk.AllowedCall{Run: r.of, Connector: c}
		for _, name := range slices.Sorted(maps.Keys(r.parts)) {
			if r.order(name) < r.order(c) {
				call.Results = append(call.Results, *r.parts[name])
			}
		}
		verdict, err := a.Allowed(ctx, call)
		if err != nil {
			return fmt.Errorf("connector %s: allowed: %w", c, err)
		}
		part := r.part(c)
		if verdict.Skip {
			part.Code, part.Message = "skipped", verdict.Reason
			r.result.Skipped[c] = verdict.Reason
		}
	}
	return nil
}

// verdicts checks that whoever leaves itself out says why.
func (e *exercise) verdicts(r *run) {
	for _, c := range slices.Sorted(maps.Keys(r.result.Skipped)) {
		if strings.TrimSpace(r.result.Skipped[c]) == "" {
			e.broken("connector %s: allowed: it skips itself without a reason", c)
		}
	}
}
