package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/jackfield/jackfield/store"
)

// streamRow is what an apply needs of a stream.
type streamRow struct {
	runID, integrationID, seq, claim, pages int64
	movedAt                                 int64 // by the claim, until the first segment
	typ                                     store.StreamType
	state                                   store.StreamState
	depth, attempts, interrupts             int
	connector, partition, limitKey          string
}

// run applies the segment within t. What it asks for and cannot be is found
// before the first write.
func (a *apply) run(ctx context.Context, t *tx) error {
	a.out = store.Applied{}
	seg := a.seg
	s, err := a.check(ctx, t)
	if err != nil {
		return err
	}
	r, err := t.run(ctx, s.runID)
	if err != nil {
		return err
	}
	if s.typ == store.StreamSweep {
		if err := a.sweepPage(ctx, t, r, s); err != nil {
			return err
		}
		seg = a.seg
	}
	history, err := a.caps(ctx, t, r, s)
	if err != nil {
		return err
	}
	stats, err := a.rows.write(ctx, t, s.integrationID)
	if err != nil {
		return err
	}
	if r.sweep != nil {
		if err := r.sweep.see(ctx, t, &a.rows); err != nil {
			return err
		}
	}
	if len(a.patches) > 0 {
		updated, err := a.patches.write(ctx, t, s.integrationID)
		if err != nil {
			return err
		}
		addStats(&stats, updated)
	}
	stats.Warnings = int64(len(seg.Warnings))
	added, err := a.addStreams(ctx, t, r, s)
	if err != nil {
		return err
	}
	if err := a.keep(ctx, t, r, s); err != nil {
		return err
	}
	if err := a.move(ctx, t, s, stats, history); err != nil {
		return err
	}
	addStats(&r.Stats, stats)
	r.tally(t, s, stats, seg.End)
	if l := t.work.lanes[seg.Lane.ID]; l.limited {
		l.imported += stats.Read
	}
	r.Streams.Pending += int64(added)
	r.StuckSince = time.Time{} // it is alive
	r.dirty = true
	if err := a.end(ctx, t, r, s); err != nil {
		return err
	}
	if r.State.Terminal() {
		r.dirty = false // its end was written, with all that goes with it
	}
	if err := a.claimNext(ctx, t, r); err != nil {
		return err
	}
	if err := a.release(ctx, t, r); err != nil {
		return err
	}
	a.out.Seq = s.seq + 1
	a.out.Stats = stats
	a.out.Streams = added
	a.out.Run = r.State
	a.out.RunEnded = r.State.Terminal()
	a.out.Done = seg.End != nil
	a.out.Position = t.pos
	return nil
}

func addStats(to *store.RunStats, n store.RunStats) {
	to.Read += n.Read
	to.Added += n.Added
	to.Updated += n.Updated
	to.Deleted += n.Deleted
	to.Unchanged += n.Unchanged
	to.Stale += n.Stale
	to.Warnings += n.Warnings
}

// check returns store.ErrStale unless the stream is still this caller's, by each
// of the guards (K10).
func (a *apply) check(ctx context.Context, t *tx) (*streamRow, error) {
	seg := a.seg
	l, err := t.lane(ctx, seg.Lane.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", store.ErrStale, err)
	}
	if err != nil {
		return nil, err
	}
	s := new(streamRow)
	err = t.get(ctx, `
		SELECT run_id, integration_id, type, depth, connector, partition, limit_key, state, seq, claim, pages, attempts, interrupts, updated_at
		FROM   streams
		WHERE  id = $1`, []any{seg.StreamID},
		&s.runID, &s.integrationID, &s.typ, &s.depth, &s.connector, &s.partition, &s.limitKey, &s.state, &s.seq, &s.claim, &s.pages, &s.attempts, &s.interrupts, &s.movedAt)
	if err = notFound(err); errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", store.ErrStale, err)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case l.owner == "" || l.owner != seg.Lane.Owner || l.fence != seg.Lane.Fence:
		return nil, fmt.Errorf("lane %d, fence %d: %w", seg.Lane.ID, l.fence, store.ErrStale)
	case l.generation != seg.Generation:
		return nil, fmt.Errorf("integration %d, generation %d: %w", l.integrationID, l.generation, store.ErrStale)
	case s.integrationID != l.integrationID || s.runID != seg.RunID:
		return nil, fmt.Errorf("stream of run %d: %w", s.runID, store.ErrStale)
	case s.state != store.StreamProcessing || s.claim != seg.Claim:
		return nil, fmt.Errorf("stream is %s, claim %d: %w", s.state, s.claim, store.ErrStale)
	case s.seq != seg.Seq:
		return nil, fmt.Errorf("stream at segment %d, not %d: %w", s.seq, seg.Seq, store.ErrStale)
	}
	return s, nil
}

// caps refuses what passes a bound (F24), and a page that the stream had before.
// It returns the history of pages with the next one.
func (a *apply) caps(ctx context.Context, t *tx, r *workRun, s *streamRow) ([]byte, error) {
	seg := a.seg
	if len(seg.Streams) > 0 {
		if s.typ == store.StreamPreprocess || s.typ == store.StreamPostprocess {
			return nil, fmt.Errorf("streams of a %s call: %w", s.typ, invalid())
		}
		if s.depth >= store.MaxStreamDepth {
			return nil, fmt.Errorf("streams of streams, %d deep: %w", store.MaxStreamDepth, store.ErrLimit)
		}
		if r.Streams.Total()+int64(len(seg.Streams)) > store.MaxStreamsPerRun {
			return nil, fmt.Errorf("more than %d streams in a run: %w", store.MaxStreamsPerRun, store.ErrLimit)
		}
	}
	if seg.Cursor != nil && s.typ.System() {
		return nil, fmt.Errorf("cursor of a %s call: %w", s.typ, invalid())
	}
	if seg.Cursor != nil && s.partition == "" {
		return nil, fmt.Errorf("cursor of a stream that owns no partition: %w", invalid())
	}
	if len(seg.Service) > 0 {
		if err := checkServiceKeys(ctx, t, s.integrationID, seg.Service); err != nil {
			return nil, err
		}
	}
	if seg.End == nil || seg.End.NextPage == nil {
		return nil, nil
	}
	if s.pages+1 >= store.MaxPagesPerStream {
		return nil, fmt.Errorf("more than %d pages in a stream: %w", store.MaxPagesPerStream, store.ErrLimit)
	}
	var history []byte
	if err := t.get(ctx, "SELECT page_history FROM streams WHERE id = $1", []any{seg.StreamID}, &history); err != nil {
		return nil, fmt.Errorf("pages of stream: %w", err)
	}
	token := binary.BigEndian.AppendUint64(nil, xxh3.Hash(seg.End.NextPage))
	for at := 0; at+8 <= len(history); at += 8 {
		if string(history[at:at+8]) == string(token) {
			return nil, fmt.Errorf("page %d is one of the last %d: %w", s.pages+1, store.PageHistory, store.ErrPageLoop)
		}
	}
	history = append(history, token...)
	return history[max(0, len(history)-8*store.PageHistory):], nil
}

// addStreams adds the new streams that the run does not have yet (C18).
func (a *apply) addStreams(ctx context.Context, t *tx, r *workRun, s *streamRow) (added int, err error) {
	if len(a.seg.Streams) == 0 {
		return 0, nil
	}
	ranks, err := r.rankOf()
	if err != nil {
		return 0, err
	}
	typ, parent := store.StreamChild, key(a.seg.StreamID)
	if s.typ.System() {
		typ, parent = store.StreamRoot, nil
	}
	const columns = 14
	rest := a.seg.Streams
	if r.ranks.Valid {
		rest = slices.DeleteFunc(slices.Clone(rest), func(n store.NewStream) bool { return ranks[n.Connector] == rankSkipped })
	}
	args := make([]any, 0, columns*min(len(rest), 50))
	for _, size := range []int{50, 8, 1} {
		for len(rest) >= size {
			args = args[:0]
			for i := range rest[:size] {
				n := &rest[i]
				args = append(args, s.runID, s.integrationID, parent, s.depth+1, string(typ), workPhase(ranks[n.Connector]), n.Connector, n.Ident, n.Partition,
					limitKey(n.LimitKey, s.integrationID), blob(n.Data), t.ms, t.ms, t.ms)
			}
			n, err := t.exec(ctx, addStreamsQuery(size), args...)
			if err != nil {
				return 0, fmt.Errorf("add streams: %w", err)
			}
			added += int(n)
			rest = rest[size:]
		}
	}
	return added, nil
}

func addStreamsQuery(n int) string {
	row := "(" + holes(11) + ",'pending',?,?,?),"
	return `
		INSERT INTO streams (run_id, integration_id, parent_id, depth, type, phase, connector, ident, partition, limit_key, data, state,
		       due_at, created_at, updated_at)
		VALUES ` + strings.TrimSuffix(strings.Repeat(row, n), ",") + `
		ON CONFLICT (run_id, connector, ident) DO NOTHING`
}

// keep writes what the segment carries besides records and streams.
func (a *apply) keep(ctx context.Context, t *tx, r *workRun, s *streamRow) error {
	seg := a.seg
	for i, w := range seg.Warnings {
		if r.Stats.Warnings+int64(i) >= store.MaxWarningsKept {
			break
		}
		at := w.At
		if at.IsZero() {
			at = t.now
		}
		if _, err := t.exec(ctx, `
			INSERT INTO warnings (run_id, stream_id, record_id, message, at)
			VALUES ($1, $2, $3, $4, $5)`, s.runID, seg.StreamID, w.RecordID, w.Message, at.UnixMilli()); err != nil {
			return fmt.Errorf("add warning: %w", err)
		}
	}
	if seg.Cursor != nil {
		if err := setCursor(ctx, t, r, s, seg.Cursor); err != nil {
			return err
		}
	}
	if seg.Patch != nil {
		if err := setPatch(ctx, t, s.integrationID, seg.Patch); err != nil {
			return err
		}
	}
	if len(seg.Service) > 0 {
		if err := setService(ctx, t, s.integrationID, seg.Service); err != nil {
			return err
		}
	}
	if len(seg.Shapes) > 0 {
		if err := setShapes(ctx, t, s.integrationID, seg.Shapes); err != nil {
			return err
		}
	}
	if seg.Preprocessed != nil {
		if _, err := t.exec(ctx, `
			INSERT INTO run_data (run_id, preprocessed)
			VALUES ($1, $2)
			ON CONFLICT (run_id) DO UPDATE
			SET preprocessed = excluded.preprocessed`, s.runID, seg.Preprocessed); err != nil {
			return fmt.Errorf("keep preprocessed data: %w", err)
		}
	}
	if seg.Circuit != nil {
		if err := moveCircuit(ctx, t, s, seg.Circuit); err != nil {
			return err
		}
	}
	for _, th := range seg.Throttles {
		if err := setThrottle(ctx, t, th, s.limitKey); err != nil {
			return err
		}
	}
	return nil
}

// setCursor moves the cursor of the stream's partition; in a forced run it waits
// aside until the run has succeeded (K03).
func setCursor(ctx context.Context, t *tx, r *workRun, s *streamRow, cursor []byte) error {
	query := `
		INSERT INTO cursors (integration_id, connector, partition, cursor, updated_at)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (integration_id, connector, partition) DO UPDATE
		SET cursor = excluded.cursor, updated_at = excluded.updated_at`
	args := []any{s.integrationID, s.connector, s.partition, cursor, t.ms}
	if r.Force {
		query = `
			INSERT INTO cursors (integration_id, connector, partition, next, updated_at, next_run)
			VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (integration_id, connector, partition) DO UPDATE
			SET next = excluded.next, next_run = excluded.next_run, updated_at = excluded.updated_at`
		args = append(args, s.runID)
	}
	if _, err := t.exec(ctx, query, args...); err != nil {
		return fmt.Errorf("keep cursor: %w", err)
	}
	return nil
}

// setThrottle keeps a rate limit, the longer one of two; one that was set by a clock
// that is no longer right is no longer kept.
func setThrottle(ctx context.Context, t *tx, th store.Throttle, fallback string) error {
	if th.Key == "" {
		th.Key = fallback
	}
	_, err := t.exec(ctx, `
		INSERT INTO throttles (plugin, key, until, since)
		VALUES ($1, $2, $3, $4)
		ON CONFLICT (plugin, key) DO UPDATE
		SET    until = excluded.until, since = excluded.since
		WHERE  throttles.until < excluded.until OR throttles.since > excluded.since + $5`,
		th.Plugin, th.Key, th.Until.UnixMilli(), t.ms, store.ClockSlack.Milliseconds())
	if err != nil {
		return fmt.Errorf("keep throttle %s: %w", th.Key, err)
	}
	return nil
}
