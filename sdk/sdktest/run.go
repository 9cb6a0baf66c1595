package sdktest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// Options say how a plugin is run.
type Options struct {
	Settings   []byte            // a JSON object that Open takes; {} if nil
	Connectors []string          // to process; all of the manifest's if nil
	Params     map[string]string // of the run
	Cursors    map[string][]byte // from an earlier Result: the run is no onboarding then
	Host       sdk.Host          // NewHost() if nil
	MaxPages   int               // of all streams together; 1000 if zero

	// Exercise and Examine alone read the rest. What is not set is not looked at.

	BadSettings []byte            // that Open must refuse
	MoreBad     []Bad             // the same, each by its name
	Refused     []byte            // that Open takes and Check must not
	Future      map[string][]byte // cursors after which there is nothing, as in Result
	// Restart kills the plugin's process, wherever it is, and returns the plugin in
	// a new one.
	Restart func(ctx context.Context) (sdk.Plugin, error)
}

// Bad is settings that Open must refuse.
type Bad struct {
	What     string // for the report, in the plural
	Settings []byte
}

// Result is what a run emitted, in order.
type Result struct {
	Records    []sdk.Record
	Members    []sdk.Member
	Activities []sdk.Activity
	Streams    []sdk.Stream
	Warnings   []sdk.Warning
	Settings   map[string][]byte
	Service    map[string][]byte
	Cursors    map[string][]byte // by "connector/partition"
	Skipped    map[string]string // reasons, by connector that left itself out
	Pages      int               // calls of ProcessStream
}

// Run does one run of p to its end, without waiting where the plugin asks to
// wait: it plans, processes every stream page by page, and postprocesses. It
// returns what was emitted until an error, too.
func Run(ctx context.Context, p sdk.Plugin, opts Options) (Result, error) {
	r, err := newRun(ctx, p, opts)
	if err != nil {
		return Result{}, err
	}
	err = r.do(ctx)
	return r.result, errors.Join(err, r.close())
}

// segment is what came between two checkpoints.
type segment struct {
	batch      sdk.Batch
	size       int
	checkpoint *sdk.Checkpoint // nil at the end of a call
}

// page is one call of ProcessStream.
type page struct {
	call     sdk.StreamCall
	segments []segment
	outcome  sdk.Outcome
}

// run is one run under way.
type run struct {
	manifest sdk.Manifest
	instance sdk.Instance
	opts     Options
	host     sdk.Host
	of       sdk.Run
	result   Result
	plan     []segment
	pages    []page
	parts    map[string]*sdk.ConnectorResult // of connectors that were let in
	done     map[string]bool                 // streams
}

func newRun(ctx context.Context, p sdk.Plugin, opts Options) (*run, error) {
	m := p.Manifest()
	if opts.Connectors == nil {
		for _, c := range m.Connectors {
			opts.Connectors = append(opts.Connectors, c.Name)
		}
	}
	if opts.Host == nil {
		opts.Host = NewHost()
	}
	opts.MaxPages = cmp.Or(opts.MaxPages, 1000)
	kind := sdk.RunOnboarding
	if opts.Cursors != nil {
		kind = sdk.RunCheck
	}
	instance, err := open(ctx, p, opts.Settings, opts.Connectors)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if err := m.Implements(instance); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return &run{
		manifest: m,
		instance: instance,
		opts:     opts,
		host:     opts.Host,
		of: sdk.Run{
			ID: "run-1", Kind: kind, Onboarding: opts.Cursors == nil, Connectors: opts.Connectors, Params: opts.Params,
			StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		result: Result{Cursors: maps.Clone(opts.Cursors), Settings: map[string][]byte{}, Service: map[string][]byte{}},
	}, nil
}

func open(ctx context.Context, p sdk.Plugin, settings []byte, connectors []string) (sdk.Instance, error) {
	if settings == nil {
		settings = []byte("{}")
	}
	i, err := p.Open(ctx, sdk.Integration{
		Tenant: "acme", Name: "test", ID: "integration-1", Revision: 1, Connectors: connectors, Settings: sdk.NewSettings(settings),
	})
	if err == nil && i == nil {
		return nil, errors.New("neither an instance nor an error")
	}
	return i, err
}

func (r *run) close() error {
	if closer, ok := r.instance.(sdk.Closer); ok {
		if err := closer.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
	return nil
}

func (r *run) do(ctx context.Context) error {
	ctx = sdk.WithHost(ctx, r.host)
	if r.result.Cursors == nil {
		r.result.Cursors = map[string][]byte{}
	}
	if pre, ok := r.instance.(sdk.Preprocessor); ok && r.manifest.Has(sdk.CanPreprocess) {
		data, err := pre.Preprocess(ctx, r.of)
		if err != nil {
			return fmt.Errorf("preprocess: %w", err)
		}
		r.of.Preprocessed = data
	}
	s := &sink{}
	if err := planned(ctx, r.instance, sdk.PlanCall{Run: r.of}, s); err != nil {
		return err
	}
	r.plan = s.segments()
	for _, seg := range r.plan {
		r.keep(seg.batch)
	}
	if err := r.work(ctx); err != nil {
		return err
	}
	if post, ok := r.instance.(sdk.Postprocessor); ok && r.manifest.Has(sdk.CanPostprocess) {
		settings, err := post.Postprocess(ctx, r.of)
		if err != nil {
			return fmt.Errorf("postprocess: %w", err)
		}
		maps.Copy(r.result.Settings, settings)
	}
	return nil
}

func planned(ctx context.Context, i sdk.Instance, call sdk.PlanCall, s *sink) error {
	out := sdk.NewEmitter(s)
	err := i.GetStreams(ctx, call, out)
	if err == nil {
		err = out.Flush(ctx)
	}
	if err != nil {
		return fmt.Errorf("get streams: %w", err)
	}
	return nil
}

func processed(ctx context.Context, i sdk.Instance, call sdk.StreamCall, s *sink) (sdk.Outcome, error) {
	out := sdk.NewEmitter(s)
	outcome, err := i.ProcessStream(ctx, call, out)
	if err == nil {
		err = out.Flush(ctx)
	}
	if err != nil {
		return outcome, fmt.Errorf("stream %s: %w", call.Stream.ID, err)
	}
	return outcome, nil
}

func (r *run) stream(ctx context.Context, stream sdk.Stream) error {
	cursor := stream.Connector + "/" + stream.Partition
	var next []byte
	for {
		if r.result.Pages++; r.result.Pages > r.opts.MaxPages {
			return fmt.Errorf("stream %s: no end after %d pages", stream.ID, r.opts.MaxPages)
		}
		s := &sink{}
		p := page{call: sdk.StreamCall{Run: r.of, Stream: stream, Page: next}}
		if stream.Partition != "" {
			p.call.Cursor = r.result.Cursors[cursor]
		}
		var err error
		p.outcome, err = processed(ctx, r.instance, p.call, s)
		p.segments = s.segments()
		for _, seg := range p.segments {
			r.keep(seg.batch)
			if seg.checkpoint != nil && seg.checkpoint.Cursor != nil {
				r.result.Cursors[cursor] = seg.checkpoint.Cursor
			}
		}
		r.pages = append(r.pages, p)
		if err != nil {
			return err
		}
		if p.outcome.Cursor != nil {
			r.result.Cursors[cursor] = p.outcome.Cursor
		}
		if next = p.outcome.NextPage; next == nil {
			return nil
		}
		if done, err := r.finished(ctx, stream, p.outcome); err != nil || done {
			return err
		}
	}
}

func (r *run) finished(ctx context.Context, stream sdk.Stream, o sdk.Outcome) (bool, error) {
	f, ok := r.instance.(sdk.Finisher)
	if !ok || r.of.Onboarding || !r.manifest.Has(sdk.CanFinish) {
		return false, nil
	}
	done, err := f.IsProcessingFinished(ctx, sdk.FinishedCall{
		Run: r.of, Stream: stream, NextPage: o.NextPage, LastRecord: o.LastRecord, LastRecordTimestamp: o.LastRecordTimestamp,
	})
	if err != nil {
		return false, fmt.Errorf("stream %s: is processing finished: %w", stream.ID, err)
	}
	return done, nil
}

func (r *run) keep(b sdk.Batch) {
	r.result.Records = append(r.result.Records, b.Records...)
	r.result.Members = append(r.result.Members, b.Members...)
	r.result.Activities = append(r.result.Activities, b.Activities...)
	r.result.Warnings = append(r.result.Warnings, b.Warnings...)
	maps.Copy(r.result.Settings, b.Settings)
	maps.Copy(r.result.Service, b.Service)
	for _, s := range b.Streams {
		if !slices.ContainsFunc(r.result.Streams, func(known sdk.Stream) bool { return known.ID == s.ID }) {
			r.result.Streams = append(r.result.Streams, s)
		}
	}
}

// sink keeps what one call emits.
type sink struct {
	ended []segment
	open  segment
	first func() // run before the first thing is taken, if any
}

// Send implements sdk.Sink.
func (s *sink) Send(ctx context.Context, b sdk.Batch) error {
	s.begin()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	merge(&s.open.batch, b)
	for i := range b.Records {
		s.open.size += len(b.Records[i].Data) + len(b.Records[i].ID) + len(b.Records[i].Kind)
	}
	return nil
}

// Checkpoint implements sdk.Sink.
func (s *sink) Checkpoint(ctx context.Context, c sdk.Checkpoint) error {
	s.begin()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.open.checkpoint = &c
	s.ended = append(s.ended, s.open)
	s.open = segment{}
	return nil
}

func (s *sink) begin() {
	if s.first != nil {
		s.first()
	}
}

// segments returns what was emitted; the last one has no checkpoint.
func (s *sink) segments() []segment { return append(slices.Clone(s.ended), s.open) }

func merge(into *sdk.Batch, b sdk.Batch) {
	into.Records = append(into.Records, b.Records...)
	into.Members = append(into.Members, b.Members...)
	into.Activities = append(into.Activities, b.Activities...)
	into.Streams = append(into.Streams, b.Streams...)
	into.Warnings = append(into.Warnings, b.Warnings...)
	if into.Settings == nil && b.Settings != nil {
		into.Settings = map[string][]byte{}
	}
	maps.Copy(into.Settings, b.Settings)
	if into.Service == nil && b.Service != nil {
		into.Service = map[string][]byte{}
	}
	maps.Copy(into.Service, b.Service)
}
