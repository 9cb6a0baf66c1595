package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// maxTree bounds a tree of streams: a run may have a million of them.
const maxTree = 5_000

// tree reads the streams of a run, the host's own too, up to maxTree; more tells
// whether there are others.
func (c *cli) tree(ctx context.Context, d *daemon, run string) (streams []*hostv1.Stream, more bool, err error) {
	req := &hostv1.ListStreamsRequest{RunId: run, System: true, PageSize: 1000}
	for len(streams) < maxTree {
		resp, err := hostv1.NewStreamServiceClient(d).ListStreams(ctx, req)
		if err != nil {
			return nil, false, err
		}
		streams = append(streams, resp.GetStreams()...)
		if req.PageToken = resp.GetNext(); resp.GetNext() == "" {
			return streams, false, nil
		}
	}
	return streams, true, nil
}

// treeLines writes streams below their parents, in the order they were made. A
// parent is always older than its children, so the first ones of a run have theirs.
func treeLines(t *table, streams []*hostv1.Stream, more bool) {
	children := map[string][]*hostv1.Stream{}
	for _, s := range streams {
		children[s.GetParentId()] = append(children[s.GetParentId()], s)
	}
	type place struct {
		stream *hostv1.Stream
		depth  int
	}
	var stack []place
	push := func(parent string, depth int) {
		for _, s := range slices.Backward(children[parent]) {
			stack = append(stack, place{s, depth})
		}
	}
	push("", 0)
	t.head("STREAM", "STATE", "PAGES", "READ", "FAILURE")
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		s := p.stream
		name := strings.Repeat("  ", p.depth) + s.GetId() + " " + orElse(s.GetIdentifier(), s.GetType())
		if s.GetConnector() != "" {
			name = strings.Repeat("  ", p.depth) + s.GetId() + " " + s.GetConnector() + " " + s.GetIdentifier()
		}
		failure := ""
		if f := s.GetFailure(); f != nil && s.GetState() != "processed" {
			failure = failureText(f)
		}
		t.row(indented(name), s.GetState(), s.GetPages(), s.GetStats().GetRead(), failure)
		push(s.GetId(), p.depth+1)
	}
	if more {
		t.line(fmt.Sprintf("there are more than %s; list them: jackfield stream list --run RUN --page %s",
			thousands(int64(len(streams))), streams[len(streams)-1].GetId()))
	}
}

// printTree writes a run with its streams: as one document, or as its facts and the
// tree.
func (c *cli) printTree(resp *hostv1.GetRunResponse, streams []*hostv1.Stream, more bool) error {
	if c.output == "table" {
		return c.printTable(func(t *table) {
			runFacts(t, resp)
			t.section("Streams")
			treeLines(t, streams, more)
		})
	}
	list := make([]any, len(streams))
	for i, s := range streams {
		list[i] = document(s)
	}
	return c.printValue(append(document(resp), member{"streams", list}, member{"more", more}))
}
