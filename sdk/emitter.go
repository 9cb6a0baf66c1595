package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Caps of what a call emits (K24). A batch aims at the first two; the others
// are refused when they are passed.
const (
	BatchRecords  = 1000
	BatchBytes    = 256 << 10
	MaxSegment    = 3 << 20
	MaxRecord     = 1 << 20
	MaxMessage    = 4 << 20
	MaxStreamData = 64 << 10
)

// Batch is what one message carries.
type Batch struct {
	Records    []Record
	Members    []Member
	Activities []Activity
	Streams    []Stream
	Settings   map[string][]byte // JSON by key, merged into what the plugin keeps
	Service    map[string][]byte // JSON by key, merged into what the tenant's integrations of the plugin share
	Warnings   []Warning
}

// Len returns the number of things in b.
func (b *Batch) Len() int {
	return len(b.Records) + len(b.Members) + len(b.Activities) + len(b.Streams) + len(b.Settings) + len(b.Service) + len(b.Warnings)
}

// Sink takes batches and checkpoints in order. Both block while the other side
// is not ready to take more, and return an error when the call must end.
type Sink interface {
	Send(ctx context.Context, b Batch) error
	Checkpoint(ctx context.Context, c Checkpoint) error
}

// Emitter gathers what a call emits into batches for a Sink. It checks what it
// is given and puts the data of records into canonical form. It is used by one
// goroutine at a time.
type Emitter struct {
	sink  Sink
	batch Batch
	size  int
	hint  int // how many records the last batch had
}

// NewEmitter returns an Emitter that fills s.
func NewEmitter(s Sink) *Emitter { return &Emitter{sink: s} }

// Record emits an upsert or, with Delete or Update set, a delete or a change of
// some fields. A record over MaxRecord is left out with a warning that names it,
// its size and its digest: one such record does not hold up the rest.
func (e *Emitter) Record(ctx context.Context, r Record) error {
	if err := r.prepare(); err != nil {
		return e.left(ctx, err)
	}
	if e.batch.Records == nil {
		e.batch.Records = make([]Record, 0, max(e.hint, 16))
	}
	e.batch.Records = append(e.batch.Records, r)
	return e.added(ctx, r.size())
}

// Member emits an upsert of a member, or as it says an update or a delete.
func (e *Emitter) Member(ctx context.Context, m Member) error {
	size, err := m.check()
	if err != nil {
		return e.left(ctx, err)
	}
	e.batch.Members = append(e.batch.Members, m)
	return e.added(ctx, size)
}

// Activity emits an upsert of an activity and of the members that it names.
func (e *Emitter) Activity(ctx context.Context, a Activity) error {
	size, err := a.check()
	if err != nil {
		return e.left(ctx, err)
	}
	e.batch.Activities = append(e.batch.Activities, a)
	return e.added(ctx, size)
}

// Stream emits a new stream of the run. One whose ID is known is ignored.
func (e *Emitter) Stream(ctx context.Context, s Stream) error {
	if err := s.check(); err != nil {
		return err
	}
	e.batch.Streams = append(e.batch.Streams, s)
	return e.added(ctx, 64+len(s.Data))
}

// Setting changes one key of what the plugin keeps for this integration.
func (e *Emitter) Setting(ctx context.Context, key string, value any) error {
	return e.set(ctx, &e.batch.Settings, "setting", key, value)
}

// Service changes one key of what the plugin keeps for all of the tenant's
// integrations of it together. Later calls have it in Run.Service.
func (e *Emitter) Service(ctx context.Context, key string, value any) error {
	return e.set(ctx, &e.batch.Service, "service state", key, value)
}

func (e *Emitter) set(ctx context.Context, in *map[string][]byte, what, key string, value any) error {
	raw, err := Marshal(value)
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, key, err)
	}
	if err := checkValue(what, key, raw); err != nil {
		return err
	}
	if *in == nil {
		*in = map[string][]byte{}
	}
	(*in)[key] = raw
	return e.added(ctx, len(key)+len(raw))
}

// left turns the error of a record that is too large into a warning.
func (e *Emitter) left(ctx context.Context, err error) error {
	large, ok := errors.AsType[*TooLargeError](err)
	if !ok {
		return err
	}
	return e.Warn(ctx, large.Kind+"/"+large.ID, large.Error())
}

// Warn counts something that was skipped.
func (e *Emitter) Warn(ctx context.Context, recordID, message string) error {
	e.batch.Warnings = append(e.batch.Warnings, Warning{RecordID: recordID, Message: message})
	return e.added(ctx, 64+len(message))
}

// Checkpoint ends the segment: see the type.
func (e *Emitter) Checkpoint(ctx context.Context, c Checkpoint) error {
	if err := e.Flush(ctx); err != nil {
		return err
	}
	return e.sink.Checkpoint(ctx, c)
}

// Send hands over a batch that is made already, after what was gathered. It is
// checked like the rest, and not split.
func (e *Emitter) Send(ctx context.Context, b Batch) error {
	if err := b.prepare(); err != nil {
		return err
	}
	if err := e.Flush(ctx); err != nil {
		return err
	}
	return e.sink.Send(ctx, b)
}

// Flush sends what was gathered. The end of a call does so too.
func (e *Emitter) Flush(ctx context.Context) error {
	if e.batch.Len() == 0 {
		return nil
	}
	b := e.batch
	e.batch, e.size, e.hint = Batch{}, 0, len(b.Records)
	return e.sink.Send(ctx, b)
}

func (e *Emitter) added(ctx context.Context, size int) error {
	e.size += size
	if e.batch.Len() < BatchRecords && e.size < BatchBytes {
		return nil
	}
	return e.Flush(ctx)
}

// prepare checks b and leaves out what is too large, with a warning each. The
// caller's records are not written to.
func (b *Batch) prepare() (err error) {
	copied := false
	for i := range b.Records {
		r := b.Records[i]
		if err := r.prepare(); err != nil {
			if _, large := errors.AsType[*TooLargeError](err); large {
				continue // fitting leaves it out
			}
			return err
		}
		if same(r.Data, b.Records[i].Data) {
			continue
		}
		if !copied {
			b.Records, copied = slices.Clone(b.Records), true
		}
		b.Records[i] = r
	}
	if b.Records, err = fitting(b, b.Records, (*Record).fits); err != nil {
		return err
	}
	if b.Members, err = fitting(b, b.Members, (*Member).fits); err != nil {
		return err
	}
	if b.Activities, err = fitting(b, b.Activities, (*Activity).fits); err != nil {
		return err
	}
	for i := range b.Streams {
		if err := b.Streams[i].check(); err != nil {
			return err
		}
	}
	for key, raw := range b.Settings {
		if err := checkValue("setting", key, raw); err != nil {
			return err
		}
	}
	for key, raw := range b.Service {
		if err := checkValue("service state", key, raw); err != nil {
			return err
		}
	}
	return nil
}

// fitting returns all without those that are too large, of which it warns in b.
// Without any it returns all itself.
func fitting[T any](b *Batch, all []T, check func(*T) error) ([]T, error) {
	var kept []T
	left := false
	for i := range all {
		err := check(&all[i])
		large, ok := errors.AsType[*TooLargeError](err)
		switch {
		case ok:
			if !left {
				kept, left = slices.Clone(all[:i]), true
			}
			b.Warnings = append(slices.Clone(b.Warnings), Warning{RecordID: large.Kind + "/" + large.ID, Message: large.Error()})
		case err != nil:
			return nil, err
		case left:
			kept = append(kept, all[i])
		}
	}
	if left {
		return kept, nil
	}
	return all, nil
}

func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
