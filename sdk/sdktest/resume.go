package sdktest

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackfield/jackfield/sdk"
)

// maxResumes bounds from how many checkpoints a run is resumed.
const maxResumes = 200

// resume checks that a call goes on from each of its checkpoints: what came
// before it and what comes then is what came without a break.
func (e *exercise) resume(ctx context.Context, r *run) {
	ctx = sdk.WithHost(ctx, r.host)
	left := maxResumes
	e.resumePlan(ctx, r, &left)
	for _, p := range r.pages {
		e.resumePage(ctx, r.instance, p, &left)
	}
}

func (e *exercise) resumePlan(ctx context.Context, r *run, left *int) {
	want := map[string]string{}
	for _, seg := range r.plan {
		addStreams(want, seg.batch.Streams)
	}
	got := map[string]string{}
	for n, seg := range r.plan {
		addStreams(got, seg.batch.Streams)
		if seg.checkpoint == nil || *left == 0 {
			continue
		}
		*left--
		s := &sink{}
		if err := planned(ctx, r.instance, sdk.PlanCall{Run: r.of, Checkpoint: seg.checkpoint.Data}, s); err != nil {
			e.broken("resumed at checkpoint %d: %w", n+1, err)
			continue
		}
		resumed := maps.Clone(got)
		for _, more := range s.segments() {
			addStreams(resumed, more.batch.Streams)
		}
		if diff := difference(want, resumed); diff != "" {
			e.broken("get streams: resumed at checkpoint %d: %s", n+1, diff)
		}
	}
}

func addStreams(to map[string]string, streams []sdk.Stream) {
	for _, s := range streams {
		if _, known := to["stream "+s.ID]; !known {
			to["stream "+s.ID] = fmt.Sprintf("%s/%s %s: %s", s.Connector, s.Partition, s.LimitKey, s.Data)
		}
	}
}

func (e *exercise) resumePage(ctx context.Context, i sdk.Instance, p page, left *int) {
	want := resultOf(p.segments)
	call := p.call
	for n, seg := range p.segments {
		if seg.checkpoint == nil || *left == 0 {
			continue
		}
		*left--
		call.Checkpoint = seg.checkpoint.Data
		if seg.checkpoint.Cursor != nil {
			call.Cursor = seg.checkpoint.Cursor
		}
		where := fmt.Sprintf("stream %s: resumed at checkpoint %d", call.Stream.ID, n+1)
		s := &sink{}
		outcome, err := processed(ctx, i, call, s)
		if err != nil {
			e.broken("%s: %w", where, err)
			continue
		}
		if (outcome.NextPage == nil) != (p.outcome.NextPage == nil) {
			e.broken("%s: the next page differs", where)
		}
		e.same(where, want, resultOf(append(append([]segment(nil), p.segments[:n+1]...), s.segments()...)))
		e.sameStreams(where, p.segments, p.segments[:n+1], s.segments())
	}
}

func (e *exercise) sameStreams(where string, all, before, after []segment) {
	want, got := map[string]string{}, map[string]string{}
	for _, seg := range all {
		addStreams(want, seg.batch.Streams)
	}
	for _, part := range [][]segment{before, after} {
		for _, seg := range part {
			addStreams(got, seg.batch.Streams)
		}
	}
	if diff := difference(want, got); diff != "" {
		e.broken("%s: %s", where, diff)
	}
}

func resultOf(segments []segment) Result {
	var r Result
	for _, seg := range segments {
		r.Records = append(r.Records, seg.batch.Records...)
		r.Members = append(r.Members, seg.batch.Members...)
		r.Activities = append(r.Activities, seg.batch.Activities...)
	}
	return r
}
