package sdk

import (
	"context"
	"encoding/json"
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
	Warnings   []Warning
}

// Len returns the number of things in b.
func (b *Batch) Len() int {
	return len(b.Records) + len(b.Members) + len(b.Activities) + len(b.Streams) + len(b.Settings) + len(b.Warnings)
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

// Record emits an upsert or, with Delete set, a delete.
func (e *Emitter) Record(ctx context.Context, r Record) error {
	if err := r.prepare(); err != nil {
		return err
	}
	if e.batch.Records == nil {
		e.batch.Records = make([]Record, 0, max(e.hint, 16))
	}
	e.batch.Records = append(e.batch.Records, r)
	return e.added(ctx, r.size())
}

// Member emits an upsert of a member.
func (e *Emitter) Member(ctx context.Context, m Member) error {
	size, err := m.check()
	if err != nil {
		return err
	}
	e.batch.Members = append(e.batch.Members, m)
	return e.added(ctx, size)
}

// Activity emits an upsert of an activity and of the members that it names.
func (e *Emitter) Activity(ctx context.Context, a Activity) error {
	size, err := a.check()
	if err != nil {
		return err
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
	raw, err := Marshal(value)
	if err != nil {
		return fmt.Errorf("setting %s: %w", key, err)
	}
	if err := checkName("a setting's key", key, MaxKind); err != nil {
		return err
	}
	if e.batch.Settings == nil {
		e.batch.Settings = map[string][]byte{}
	}
	e.batch.Settings[key] = raw
	return e.added(ctx, len(key)+len(raw))
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

// prepare checks b. The caller's records are not written to.
func (b *Batch) prepare() error {
	copied := false
	for i := range b.Records {
		r := b.Records[i]
		if err := r.prepare(); err != nil {
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
	for i := range b.Members {
		if _, err := b.Members[i].check(); err != nil {
			return err
		}
	}
	for i := range b.Activities {
		if _, err := b.Activities[i].check(); err != nil {
			return err
		}
	}
	for i := range b.Streams {
		if err := b.Streams[i].check(); err != nil {
			return err
		}
	}
	for key, raw := range b.Settings {
		if err := checkName("a setting's key", key, MaxKind); err != nil {
			return err
		}
		if !json.Valid(raw) {
			return invalid("setting %s is not JSON", key)
		}
	}
	return nil
}

func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
