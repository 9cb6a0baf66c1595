package runner

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// receiveCredit is what a call holds of the pool while it receives: about one
// batch in flight.
const receiveCredit = sdk.BatchBytes

// mergeBytes is how much of closed segments waits for the one being applied.
// Adjacent segments of a stream that wait together are applied as one: leaving
// out a checkpoint between them changes nothing (K02).
const mergeBytes = 1 << 20

// sink receives what a call emits. The open segment grows until a checkpoint
// closes it; closed segments are applied by a goroutine of the sink's own while
// the next one is received.
type sink struct {
	*call
	dog    *watchdog // set before the call is made
	credit *credit

	mu       sync.Mutex // guards what follows
	cond     *sync.Cond
	open     part
	closed   part // waits to be applied
	waiting  bool // closed holds something
	applying bool
	applied  int    // segments
	err      error  // of the first segment that was not applied
	told     told   // types
	began    []byte // place of the first segment
	refused  int    // how many things the segment had that was too large; 0: none was
	gone     bool   // the call was given up: nothing more is taken

	preprocessed []byte
	veto         *store.Veto
}

// part is what lies between checkpoints.
type part struct {
	records    []store.Record
	updates    []store.Update
	streams    []store.NewStream
	warnings   []store.Warning
	settings   map[string][]byte
	service    map[string][]byte
	shapes     store.Shapes
	cursor     []byte
	checkpoint []byte
	bytes      int64
}

func newSink(c *call) *sink {
	s := &sink{call: c, credit: &credit{pool: c.r.memory}}
	s.cond = sync.NewCond(&s.mu)
	s.open.checkpoint = c.stream.Checkpoint
	return s
}

// again returns a sink for a call that is made anew from the last checkpoint: what
// came after it is dropped.
func (s *sink) again() *sink {
	s.credit.end()
	next := newSink(s.call)
	s.mu.Lock()
	defer s.mu.Unlock()
	next.applied, next.began = s.applied, s.began
	return next
}

// Send takes a batch. It blocks while too much is received and not applied.
func (s *sink) Send(ctx context.Context, b sdk.Batch) error {
	s.dog.rest()
	defer s.dog.wake()
	size := batchSize(b)
	if err := s.credit.take(ctx, size); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.failed(); err != nil {
		return err
	}
	if s.stream.Type == store.StreamPlan &&
		(len(s.open.streams)+len(b.Streams) > store.MaxStreamsPerResult || s.open.bytes+size > sdk.MaxSegment) {
		// A plan may be cut anywhere: what is replayed after a crash is known by its
		// identifiers (K01). So an author plans thousands without a checkpoint.
		if err := s.close(ctx, s.open.checkpoint); err != nil {
			return err
		}
	}
	s.open.bytes += size
	if s.open.bytes > sdk.MaxSegment {
		s.refused = s.open.len() + b.Len()
		return &sdk.Error{Class: sdk.ClassSystem, Code: "checkpoint_required", Message: fmt.Sprintf("stream %s sent %d bytes without a checkpoint, %d are allowed", s.stream.Ident, s.open.bytes, sdk.MaxSegment)}
	}
	return s.open.add(b, s.types, &s.told, s.r.opts.Now())
}

// Checkpoint closes the open segment and has it applied.
func (s *sink) Checkpoint(ctx context.Context, c sdk.Checkpoint) error {
	s.dog.rest()
	defer s.dog.wake()
	if err := s.checkpoint(ctx, c); err != nil {
		return err
	}
	if !s.within(ctx) {
		return errYield
	}
	select {
	case <-s.hold.Yield():
		return errYield
	case <-s.plugin.Draining: // never, if it is nil
		return errYield
	default:
		return nil
	}
}

func (s *sink) checkpoint(ctx context.Context, c sdk.Checkpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Cursor != nil {
		s.open.cursor = c.Cursor
	}
	return s.close(ctx, c.Data)
}

// close hands the open segment to the applier, waiting while enough waits there.
// The caller holds mu.
func (s *sink) close(ctx context.Context, checkpoint []byte) error {
	for s.failed() == nil && s.waiting && !s.mergeable() {
		s.cond.Wait()
	}
	if err := s.failed(); err != nil {
		return err
	}
	s.open.checkpoint = checkpoint
	if s.began == nil {
		s.began = s.open.place()
	}
	s.quota.take(len(s.open.records))
	s.open.shapes, s.told.open = s.told.open, nil
	s.closed.merge(s.open)
	s.waiting = true
	s.open = part{checkpoint: checkpoint}
	if !s.applying {
		s.applying = true
		go s.applyClosed(context.WithoutCancel(ctx))
	}
	return nil
}

// mergeable reports whether the open segment may join the one that waits.
func (s *sink) mergeable() bool {
	return s.closed.bytes+s.open.bytes <= mergeBytes &&
		len(s.closed.streams)+len(s.open.streams) <= store.MaxStreamsPerResult
}

// applyClosed applies closed segments until none waits. finish waits for it.
func (s *sink) applyClosed(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.waiting && s.err == nil {
		p := s.closed
		s.closed, s.waiting = part{}, false
		s.cond.Broadcast()
		s.mu.Unlock()
		_, err := s.apply(ctx, p, nil)
		s.mu.Lock()
		s.err = err
	}
	s.applying = false
	s.cond.Broadcast()
}

// apply writes one segment. One at a time is on its way.
func (s *sink) apply(ctx context.Context, p part, e *ending) (store.Applied, error) {
	defer s.credit.give(p.bytes)
	seg := store.Segment{
		Lane: s.lane.lane.Ref(), Generation: s.lane.lane.Generation,
		RunID: s.run.ID, StreamID: s.stream.ID, Claim: s.stream.Claim, Seq: s.stream.Seq,
		Records: p.records, Updates: p.updates, Streams: p.streams, Warnings: s.redacted(p.warnings),
		Cursor: p.cursor, Checkpoint: p.checkpoint, Shapes: p.shapes,
	}
	began, replays := s.beginning()
	seg.Replays = replays
	if e != nil {
		seg.End = &e.StreamEnd
		seg.End.Began = began
		if e.keep {
			seg.Preprocessed = s.preprocessed
			seg.End.Veto = s.veto
		}
		if e.cursor != nil {
			seg.Cursor = e.cursor
		}
		if e.throttle != nil {
			seg.Throttles = []store.Throttle{*e.throttle}
		}
		seg.Circuit = e.circuit
	} else if s.stream.Probe != nil {
		seg.Circuit = &store.CircuitChange{Move: store.CircuitClose, Circuit: *s.stream.Probe}
	}
	if len(p.service) > 0 {
		var err error
		if seg.Service, err = s.lane.sealService(p.service); err != nil {
			return store.Applied{}, err
		}
	}
	if len(p.settings) > 0 {
		// One at a time from here to the store: of two that were made of the same
		// patch, the later one would undo the other's.
		s.merging <- struct{}{}
		defer func() { <-s.merging }()
		patch, err := s.lane.mergePatch(p.settings)
		if err != nil {
			return store.Applied{}, err
		}
		seg.Patch = patch
	}
	sent := time.Now()
	done, err := s.r.db.Apply(ctx, seg)
	if s.r.opts.Trace != nil {
		s.r.opts.Trace.Segment(ctx, sent, len(p.records), err)
	}
	if err != nil {
		return done, err
	}
	s.quota.applied(len(p.records))
	if seg.Patch != nil {
		s.lane.patched(seg.Patch)
	}
	s.lane.served(p.service)
	s.types.applied(p.shapes)
	s.logWarnings(p.warnings)
	s.stream.Seq = done.Seq
	s.stream.Checkpoint = p.checkpoint
	if e == nil {
		if seg.Circuit != nil {
			s.r.circuits.closed(s.in.ID, seg.Circuit.Host)
			s.stream.Probe = nil
		}
		if !replays {
			s.stream.Attempts, s.stream.Interrupts = 0, 0
		}
	}
	s.mu.Lock()
	s.applied++
	s.mu.Unlock()
	return done, nil
}

// redacted takes known secrets out of warnings, which are kept in clear.
func (s *sink) redacted(warnings []store.Warning) []store.Warning {
	for i := range warnings {
		warnings[i].RecordID = s.r.opts.Redact(warnings[i].RecordID)
		warnings[i].Message = s.r.opts.Redact(warnings[i].Message)
	}
	return warnings
}

// logWarnings writes the warnings of an applied segment to the log, if the
// integration wants each of them (O26): the store keeps a run's first ones.
func (s *sink) logWarnings(warnings []store.Warning) {
	if !s.in.LogWarnings {
		return
	}
	for _, w := range warnings {
		s.log.Warn("skipped", "run", s.run.ID, "stream", s.stream.Ident, "record", w.RecordID, "reason", w.Message)
	}
}

// drain waits until nothing closed is left to apply. It reports whether the
// claim made progress, and why it cannot go on.
func (s *sink) drain() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.applying {
		s.cond.Wait()
	}
	return s.applied > 0 && !s.replaying(), s.err
}

// finish applies the end, after drain: with the open segment if the call
// succeeded, without it if not.
func (s *sink) finish(ctx context.Context, e ending) (store.Applied, error) {
	s.mu.Lock()
	last := part{checkpoint: s.stream.Checkpoint}
	if e.keep {
		last = s.open
		last.shapes = s.told.open
		s.quota.take(len(last.records))
	}
	s.open = part{}
	s.mu.Unlock()
	return s.apply(ctx, last, &e)
}

// fail ends the stream without any content, after a result was refused.
func (s *sink) fail(ctx context.Context, end store.StreamEnd) (store.Applied, error) {
	return s.apply(ctx, part{checkpoint: s.stream.Checkpoint}, &ending{StreamEnd: end})
}

// abandon makes the sink take nothing more from a call that does not end.
func (s *sink) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.cond.Broadcast()
}

// failed returns why nothing more can be taken. The caller holds mu.
func (s *sink) failed() error {
	if s.gone {
		return errTooLong
	}
	return s.err
}
