package runner

import (
	"context"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// sweep works a stream that deletes what a full sync did not see (K07). The store
// does it, a segment at a time; no plugin is asked. Between two segments it ends
// its claim if the lane should be given back.
func (c *call) sweep(ctx context.Context) streamDone {
	d := streamDone{system: true}
	seg := store.Segment{
		Lane: c.lane.lane.Ref(), Generation: c.lane.lane.Generation,
		RunID: c.run.ID, StreamID: c.stream.ID, Claim: c.stream.Claim, Seq: c.stream.Seq,
	}
	for !d.applied.Done {
		if ctx.Err() != nil || c.over() {
			seg.End = &store.StreamEnd{State: store.StreamPending, Answered: true}
		}
		applied, err := c.r.db.Apply(context.WithoutCancel(ctx), seg)
		if err != nil {
			if !stale(err) { // else somebody else has the stream; nothing was written
				d.err = err
			}
			return d
		}
		d.applied = applied
		d.segments++
		seg.Seq = applied.Seq
	}
	return d
}

// complete returns the kinds that connectors list completely.
func complete(m sdk.Manifest) map[string][]string {
	out := map[string][]string{}
	for _, c := range m.Connectors {
		if c.CompleteListing {
			out[c.Name] = c.Kinds
		}
	}
	return out
}
