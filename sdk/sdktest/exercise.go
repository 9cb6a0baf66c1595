package sdktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// cancelWithin is how soon a call has to end once it is cancelled.
const cancelWithin = 5 * time.Second

// Exercise runs p through its contract and returns every rule that it breaks,
// joined. What the plugin talks to has to answer the same each time.
func Exercise(ctx context.Context, p sdk.Plugin, opts Options) error {
	var errs []error
	for _, f := range Examine(ctx, p, opts) {
		errs = append(errs, f.Broken...)
	}
	return errors.Join(errs...)
}

// exercise gathers the rules that are broken.
type exercise struct {
	plugin   sdk.Plugin
	opts     Options
	findings []Finding
	refused  []error  // what the plugin said of settings that it shall refuse
	canaries [][]byte // the secrets of those settings
}

func (e *exercise) broken(format string, args ...any) {
	f := &e.findings[len(e.findings)-1]
	f.Broken = append(f.Broken, fmt.Errorf(format, args...))
}

func (e *exercise) manifest() {
	m := e.plugin.Manifest()
	if err := m.Validate(); err != nil {
		e.broken("manifest: %w", err)
	}
	if !reflect.DeepEqual(m, e.plugin.Manifest()) {
		e.broken("manifest: it differs when asked twice")
	}
}

// streams checks what was planned and added.
func (e *exercise) streams(r *run) {
	if len(r.result.Streams) == 0 {
		if len(r.of.Connectors) > 0 {
			e.broken("get streams: no stream")
		}
		return
	}
	declared := map[string]bool{}
	for _, c := range r.manifest.Connectors {
		declared[c.Name] = true
	}
	owner := map[string]string{}
	for _, s := range r.result.Streams {
		if !declared[s.Connector] {
			e.broken("stream %s: the manifest has no connector %q", s.ID, s.Connector)
		}
		if s.Partition == "" {
			continue
		}
		key := s.Connector + "/" + s.Partition
		if other, ok := owner[key]; ok {
			e.broken("stream %s: partition %s is owned by stream %s", s.ID, key, other)
		}
		owner[key] = s.ID
	}
	e.twice("get streams", r.plan)
	for _, p := range r.pages {
		e.twice("stream "+p.call.Stream.ID, p.segments)
	}
}

// twice checks that one call names no stream twice.
func (e *exercise) twice(where string, segments []segment) {
	seen := map[string]bool{}
	for _, seg := range segments {
		for _, s := range seg.batch.Streams {
			if seen[s.ID] {
				e.broken("%s: stream %s is emitted twice", where, s.ID)
			}
			seen[s.ID] = true
		}
	}
}

// pages checks each call of ProcessStream.
func (e *exercise) pages(r *run) {
	versions := map[string]bool{}
	for _, c := range r.manifest.Connectors {
		versions[c.Name] = c.Versions
	}
	asked := map[string]bool{}
	for _, p := range r.pages {
		s := p.call.Stream
		if next := p.outcome.NextPage; next != nil {
			if key := s.ID + "\x00" + string(next); asked[key] {
				e.broken("stream %s: page %.64q comes again", s.ID, next)
			} else {
				asked[key] = true
			}
		}
		if l := p.outcome.RateLimit; l != nil && l.After != 0 && !l.Until.IsZero() {
			e.broken("stream %s: the rate limit has both After and Until", s.ID)
		}
		for _, seg := range p.segments {
			if s.Partition == "" && seg.checkpoint != nil && seg.checkpoint.Cursor != nil {
				e.broken("stream %s: a checkpoint sets a cursor but the stream owns no partition", s.ID)
			}
			if !versions[s.Connector] {
				continue
			}
			for _, rec := range seg.batch.Records {
				if rec.Version == "" {
					e.broken("stream %s: record %s %s has no version, which connector %s promises", s.ID, rec.Kind, rec.ID, s.Connector)
				}
			}
		}
		if s.Partition == "" && p.outcome.Cursor != nil {
			e.broken("stream %s: the outcome sets a cursor but the stream owns no partition", s.ID)
		}
	}
}

// sizes checks that what comes between two checkpoints can be applied at once.
func (e *exercise) sizes(r *run) {
	for _, p := range r.pages {
		for _, seg := range p.segments {
			if seg.size > sdk.MaxSegment {
				e.broken("stream %s: a segment has %d bytes, %d are allowed (hint: emit a checkpoint)", p.call.Stream.ID, seg.size, sdk.MaxSegment)
			}
		}
	}
}

// ids checks that no call gives one id to two things.
func (e *exercise) ids(r *run) {
	for _, p := range r.pages {
		seen := map[string]sdk.Record{}
		for _, rec := range resultOf(p.segments).Records {
			if rec.Delete || rec.Update {
				continue
			}
			key := rec.Kind + " " + rec.ID
			if other, ok := seen[key]; ok && other.Version == rec.Version && !bytes.Equal(other.Data, rec.Data) {
				e.broken("stream %s: record %s comes twice, with different data and no version to tell which is newer (hint: give each thing an id of its own)", p.call.Stream.ID, key)
			}
			seen[key] = rec
		}
	}
}

// kept checks that the typed records can be kept.
func (e *exercise) kept(r *run) {
	if _, err := stateOf(r.result.Records, r.result.Members, r.result.Activities); err != nil {
		e.broken("%w", err)
	}
}

// stateOf returns what a store would hold after all of it, by kind and id.
func stateOf(records []sdk.Record, members []sdk.Member, activities []sdk.Activity) (map[string]string, error) {
	state := map[string]string{}
	put := func(r sdk.Record) {
		key := r.Kind + " " + r.ID
		if r.Update {
			key += " update"
		}
		state[key] = fmt.Sprintf("parent %v, version %q, at %s, deleted %t: %s", r.Parent, r.Version, r.OccurredAt.UTC().Format(time.RFC3339Nano), r.Delete, r.Data)
	}
	var errs []error
	for _, r := range records {
		put(r)
	}
	for _, m := range members {
		r, err := m.Record()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		put(r)
	}
	for _, a := range activities {
		all, err := a.Records()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, r := range all {
			put(r)
		}
	}
	return state, errors.Join(errs...)
}

// again checks that a second run emits the same.
func (e *exercise) again(ctx context.Context, first *run) {
	opts := first.opts
	opts.Host = NewHost()
	if e.opts.Host != nil {
		opts.Host = e.opts.Host
	}
	second, err := Run(ctx, e.plugin, opts)
	if err != nil {
		e.broken("second run: %w", err)
		return
	}
	e.same("second run", first.result, second)
}

func (e *exercise) same(where string, want, got Result) {
	a, errA := stateOf(want.Records, want.Members, want.Activities)
	b, errB := stateOf(got.Records, got.Members, got.Activities)
	if errA != nil || errB != nil {
		return // reported by kept
	}
	if diff := difference(a, b); diff != "" {
		e.broken("%s: %s", where, diff)
	}
}

// difference names the first record, by key, in which the two differ.
func difference(want, got map[string]string) string {
	if maps.Equal(want, got) {
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		w := want[key]
		g, ok := got[key]
		if !ok {
			return fmt.Sprintf("record %s is missing", key)
		}
		if g != w {
			return fmt.Sprintf("record %s differs:\n  %s\n  %s", key, w, g)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			return fmt.Sprintf("record %s is new", key)
		}
	}
	return ""
}

// cancel checks that calls end when they are cancelled.
func (e *exercise) cancel(ctx context.Context, r *run) {
	ctx = sdk.WithHost(ctx, r.host)
	e.cancelled(ctx, "get streams", func(ctx context.Context, s *sink) error {
		return planned(ctx, r.instance, sdk.PlanCall{Run: r.of}, s)
	})
	if len(r.pages) > 0 {
		call := r.pages[0].call
		e.cancelled(ctx, "stream "+call.Stream.ID, func(ctx context.Context, s *sink) error {
			_, err := processed(ctx, r.instance, call, s)
			return err
		})
	}
}

// cancelled cancels a call at the first thing that it emits, and another one
// before it starts.
func (e *exercise) cancelled(ctx context.Context, where string, call func(context.Context, *sink) error) {
	for _, early := range []bool{true, false} {
		ctx, cancel := context.WithCancel(ctx)
		if early {
			cancel()
		}
		var err error
		done := make(chan error, 1)
		go func() { done <- call(ctx, &sink{first: cancel}) }()
		select {
		case err = <-done:
		case <-ctx.Done():
			timer := time.NewTimer(cancelWithin)
			select {
			case err = <-done:
			case <-timer.C:
				e.broken("%s: the call does not end within %s of being cancelled", where, cancelWithin)
			}
			timer.Stop()
		}
		if err != nil && ctx.Err() == nil {
			e.broken("%s: called once more: %w", where, err)
		}
		cancel()
	}
}

func holds(haystack []byte, needles [][]byte) bool {
	for _, n := range needles {
		if bytes.Contains(haystack, n) {
			return true
		}
	}
	return false
}
