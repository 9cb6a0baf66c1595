package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackfield/jackfield/store"
)

// Apply applies a segment in one transaction, or not at all (K02). It checks the
// lane's fence, the integration's generation and the stream's claim and seq in
// that transaction and returns store.ErrStale if one has moved on. Segments of
// many callers share a transaction; one that the database refuses fails alone,
// with store.ErrRejected. store.ErrPageLoop and store.ErrLimit are for the caller
// to end the stream with. ctx bounds the wait until the writer takes the segment;
// the segment is the driver's until Apply returns.
func (db *DB) Apply(ctx context.Context, seg store.Segment) (store.Applied, error) {
	a := &apply{seg: &seg}
	if seg.End != nil && db.room.refused() == nil { // while the disk is full nothing is begun
		a.next = seg.End.Next
	}
	size, err := a.prepare()
	if err != nil {
		return store.Applied{}, fmt.Errorf("apply to stream %d: %w", seg.StreamID, err)
	}
	if db.opts.OnApply != nil {
		begun := time.Now()
		defer func() { db.opts.OnApply(time.Since(begun)) }()
	}
	err = db.submit(ctx, &op{
		run:   a.run,
		bytes: size,
		mark:  &landmark{stream: seg.StreamID, seq: seg.Seq + 1},
		done:  make(chan error, 1),
	})
	if err != nil {
		return store.Applied{}, fmt.Errorf("apply to stream %d: %w", seg.StreamID, err)
	}
	return a.out, nil
}

// apply is a segment on its way.
type apply struct {
	seg     *store.Segment
	rows    rowSet
	patches patches
	out     store.Applied
	next    int            // streams to claim at the end
	given   *store.Segment // of a sweep, before the store filled it
}

// prepare checks what can be checked without the database and returns the size.
func (a *apply) prepare() (size int, err error) {
	seg := a.seg
	for i := range seg.Records {
		r := &seg.Records[i]
		size += len(r.Data) + len(r.ExternalID) + len(r.Kind) + len(r.ParentID)
	}
	for i := range seg.Updates {
		u := &seg.Updates[i]
		size += len(u.Patch) + len(u.ExternalID) + len(u.Kind)
	}
	service, err := checkService(seg.Service)
	if err != nil {
		return 0, err
	}
	size += service
	for i := range seg.Streams {
		s := &seg.Streams[i]
		size += len(s.Data) + len(s.Ident)
		if err := checkStream(s); err != nil {
			return 0, err
		}
	}
	for _, b := range [][]byte{seg.Patch, seg.Cursor, seg.Checkpoint, seg.Preprocessed} {
		size += len(b)
	}
	if seg.End != nil {
		size += len(seg.End.NextPage)
		if err := checkEnd(seg.End); err != nil {
			return 0, err
		}
	}
	if size > store.MaxSegmentBytes {
		return 0, fmt.Errorf("segment of %d bytes, over %d: %w", size, store.MaxSegmentBytes, store.ErrLimit)
	}
	if len(seg.Streams) > store.MaxStreamsPerResult {
		return 0, fmt.Errorf("%d new streams, over %d: %w", len(seg.Streams), store.MaxStreamsPerResult, store.ErrLimit)
	}
	if a.patches, err = preparePatches(seg.Updates); err != nil {
		return 0, err
	}
	a.rows, err = prepareRecords(seg.Records)
	return size, err
}

func checkStream(s *store.NewStream) error {
	switch {
	case s.Ident == "" || !clean(s.Ident) || !clean(s.Connector) || !clean(s.Partition) || !clean(s.LimitKey):
		return fmt.Errorf("stream %q of connector %q: empty or unprintable name: %w", s.Ident, s.Connector, invalid())
	case s.Connector == ":":
		return fmt.Errorf("stream %q: connector %q: %w", s.Ident, s.Connector, invalid())
	case len(s.Ident) > store.MaxExternalIDBytes || len(s.Partition) > store.MaxExternalIDBytes ||
		len(s.Connector) > store.MaxExternalIDBytes || len(s.LimitKey) > store.MaxExternalIDBytes:
		return fmt.Errorf("stream %.80q: name over %d bytes: %w", s.Ident, store.MaxExternalIDBytes, store.ErrLimit)
	case len(s.Data) > store.MaxStreamDataBytes:
		return fmt.Errorf("stream %q: %d bytes of data, over %d: %w", s.Ident, len(s.Data), store.MaxStreamDataBytes, store.ErrLimit)
	default:
		return nil
	}
}

func checkEnd(e *store.StreamEnd) error {
	switch e.State {
	case store.StreamProcessed, store.StreamError:
		if e.NextPage != nil {
			return fmt.Errorf("end %s with a next page: %w", e.State, invalid())
		}
	case store.StreamPending, store.StreamDelayed:
	default:
		return fmt.Errorf("end %q: %w", e.State, invalid())
	}
	return nil
}

// work is what applies of one transaction share: lanes that they have checked
// once, and runs that are written once for all of them.
type work struct {
	lanes map[int64]*heldLane
	runs  map[int64]*workRun
}

// heldLane is a lane as the transaction sees it.
type heldLane struct {
	owner                            string
	fence, integrationID, generation int64
	limited                          bool  // what is imported is taken from the lane's quota
	imported                         int64 // and not taken yet
}

// workRun is a run that waits to be written.
type workRun struct {
	*run
	dirty bool
}

func (w *work) reset() {
	clear(w.lanes)
	clear(w.runs)
}

func (t *tx) lane(ctx context.Context, id int64) (*heldLane, error) {
	if l, ok := t.work.lanes[id]; ok {
		return l, nil
	}
	var (
		l     heldLane
		owner nullString
	)
	err := t.get(ctx, `
		SELECT l.owner, l.fence, l.integration_id, i.generation, i.limit_records > 0 AND i.limit_per > 0
		FROM   lanes l JOIN integrations i ON i.id = l.integration_id
		WHERE  l.id = $1`, []any{id}, &owner, &l.fence, &l.integrationID, &l.generation, &l.limited)
	if err != nil {
		return nil, fmt.Errorf("lane %d: %w", id, notFound(err))
	}
	l.owner = owner.String
	if t.work.lanes == nil {
		t.work.lanes = make(map[int64]*heldLane)
	}
	t.work.lanes[id] = &l
	return &l, nil
}

func (t *tx) run(ctx context.Context, id int64) (*workRun, error) {
	if r, ok := t.work.runs[id]; ok {
		return r, nil
	}
	r, err := loadRun(ctx, t, id)
	if err != nil {
		return nil, err
	}
	if t.work.runs == nil {
		t.work.runs = make(map[int64]*workRun)
	}
	w := &workRun{run: r}
	t.work.runs[id] = w
	return w, nil
}

// flush writes the runs that wait and forgets what was read: what comes next may
// change it.
func (t *tx) flush(ctx context.Context) error {
	ids := make([]int64, 0, len(t.work.runs))
	for id, r := range t.work.runs {
		if r.dirty {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		if err := t.work.runs[id].save(ctx, t); err != nil {
			return err
		}
		if err := t.work.runs[id].saveTallies(ctx, t); err != nil {
			return err
		}
	}
	if err := t.work.takeQuota(ctx, t); err != nil {
		return err
	}
	t.work.reset()
	return nil
}
