package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite/internal/failpoint"
)

// ClaimStreams claims up to limit due streams of a run's phase under the lane's
// fence, the one that waits longest first. Streams whose limit key has a throttle
// in force are passed over. Each comes with the cursor of its partition (none in a
// forced run) and the watermarks of its integration. A run whose sleep is over is
// processing again; one that sleeps, or waits for another, gives none, and neither
// does one while another goes first and has something to do (K12).
func (db *DB) ClaimStreams(ctx context.Context, lane store.LaneRef, runID int64, n int) (streams []store.Stream, err error) {
	if n <= 0 {
		return nil, nil
	}
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		streams = nil
		r, err := heldRun(ctx, t, lane, runID)
		if err != nil {
			return err
		}
		if way, err := givesWay(ctx, t.each, r.Run, t.ms); err != nil || way {
			return err
		}
		if ok, err := r.awake(ctx, t); err != nil || !ok {
			return err
		}
		streams, err = r.claim(ctx, t, n)
		if err != nil || len(streams) == 0 {
			return err
		}
		return r.save(ctx, t)
	})
	if err != nil {
		return nil, fmt.Errorf("claim streams of run %d: %w", runID, err)
	}
	return streams, nil
}

// claimNext claims with the end of a stream what ClaimStreams would claim after it: a
// transaction of its own costs more than what it does.
func (a *apply) claimNext(ctx context.Context, t *tx, r *workRun) error {
	if a.next <= 0 || r.State.Terminal() || t.work.others(r) {
		return nil
	}
	way, err := givesWay(ctx, t.each, r.Run, t.ms)
	if err != nil {
		return err
	}
	ok := false
	if !way && (r.State == store.RunProcessing || r.State == r.saved) { // else it has just gone to sleep
		if ok, err = r.awake(ctx, t); err != nil {
			return err
		}
	}
	if ok {
		if a.out.Next, err = r.claim(ctx, t, a.next); err != nil {
			return err
		}
	}
	a.out.Drained = len(a.out.Next) < a.next
	return nil
}

// others reports whether another run of r's integration waits to be written: what
// the database says of it is not what it is.
func (w *work) others(r *workRun) bool {
	for _, o := range w.runs {
		if o != r && o.dirty && o.IntegrationID == r.IntegrationID {
			return true
		}
	}
	return false
}

// claim claims up to n streams that are due; the run is not saved yet.
func (r *run) claim(ctx context.Context, t *tx, n int) (streams []store.Stream, err error) {
	due, err := dueStreams(ctx, t, r, n)
	if err == nil {
		due, err = probes(ctx, t, r, due)
	}
	if err != nil || len(due) == 0 {
		return nil, err
	}
	failpoint.Hit("claim")
	marks, err := watermarks(ctx, t, r.IntegrationID)
	if err != nil {
		return nil, err
	}
	for _, d := range due {
		st, err := claimStream(ctx, t, r, d)
		if err != nil {
			return nil, err
		}
		if err := position(ctx, t, r, &st); err != nil {
			return nil, err
		}
		st.Watermarks, st.Probe = marks, d.probe
		if st.Type == store.StreamAllow {
			if st.Results, err = r.results(ctx, t, string(st.Data)); err != nil {
				return nil, err
			}
		}
		streams = append(streams, st)
	}
	return streams, nil
}

// awake reports whether the run's streams may be claimed, and moves a run whose
// time has come to processing.
func (r *run) awake(ctx context.Context, t *tx) (bool, error) {
	if r.State == store.RunProcessing {
		return true, nil
	}
	if r.State != store.RunDelayed || r.DelayedUntil.IsZero() || r.sleeps(t.ms) {
		return false, nil
	}
	var other int64
	err := t.get(ctx, "SELECT id FROM runs WHERE integration_id = $1 AND class = $2 AND state = 'processing'",
		[]any{r.IntegrationID, r.Class}, &other)
	if err == nil {
		return false, nil // that one goes first
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	r.wake()
	return true, r.save(ctx, t)
}

// dueStream is a stream that may be claimed.
type dueStream struct {
	id, dueAt int64
	state     store.StreamState
	probes    string         // the limit key whose circuit it may try
	probe     *store.Circuit // that it tries
}

// dueStreams reads what may be claimed: for each limit key that is not throttled
// the first ones. A majority that is throttled costs one look.
func dueStreams(ctx context.Context, t *tx, r *run, n int) (out []dueStream, err error) {
	for key, more := "", true; more; {
		var (
			until, open moment
			found       bool
		)
		more = false
		err := t.each(ctx, nextKeyQuery, []any{r.ID, r.phase, key, r.Plugin, t.ms + store.ClockSlack.Milliseconds()}, func(s scanner) error {
			var due, from int64
			found = true
			return s.Scan(&key, &due, &from, &more, &until, &open)
		})
		if err != nil {
			return nil, err
		}
		if !found {
			break
		}
		if until.Valid && until.Int64 > t.ms || open.Valid && circuitCome(open.Int64, t.ms) > t.ms {
			continue
		}
		most := n
		if open.Valid { // half open: one goes ahead
			most = 1
		}
		some, err := dueOfKey(ctx, t, r, key, most)
		if err != nil {
			return nil, err
		}
		if open.Valid && len(some) > 0 {
			some = some[:1]
			some[0].probes = key
		}
		out = append(out, some...)
	}
	slices.SortFunc(out, func(a, b dueStream) int {
		return cmp.Or(cmp.Compare(a.dueAt, b.dueAt), cmp.Compare(a.id, b.id))
	})
	return out[:min(n, len(out))], nil
}

// dueOfKey reads the streams of one limit key. If none is due it looks at the next
// ones, for those whose time was computed later than now (K09).
func dueOfKey(ctx context.Context, t *tx, r *run, key string, n int) (out []dueStream, err error) {
	add := func(s scanner) error {
		var d dueStream
		err := s.Scan(&d.id, &d.dueAt, &d.state)
		out = append(out, d)
		return err
	}
	err = t.each(ctx, dueStreamQuery, []any{r.ID, r.phase, key, t.ms, n}, add)
	if err != nil || len(out) > 0 {
		return out, err
	}
	err = t.each(ctx, `
		SELECT   id, due_at, state, updated_at
		FROM     streams
		WHERE    run_id = $1 AND phase = $2 AND state IN ('pending', 'delayed') AND limit_key = $3 AND due_at > $4
		ORDER BY due_at, id
		LIMIT    $5 + 0`, []any{r.ID, r.phase, key, t.ms, max(n, aheadLooked)}, func(s scanner) error {
		var (
			d    dueStream
			from int64
		)
		err := s.Scan(&d.id, &d.dueAt, &d.state, &from)
		if setBack(from, t.ms) && len(out) < n {
			out = append(out, d)
		}
		return err
	})
	return out, err
}

// aheadLooked is how many streams that are not due are looked at for a clock that
// was set back.
const aheadLooked = 16

const dueStreamQuery = `
	SELECT   id, due_at, state
	FROM     streams
	WHERE    run_id = $1 AND phase = $2 AND state IN ('pending', 'delayed') AND limit_key = $3 AND due_at <= $4
	ORDER BY due_at, id
	LIMIT    $5 + 0`

// claimStream raises the claim, and the interrupts until there is an answer.
func claimStream(ctx context.Context, t *tx, r *run, d dueStream) (store.Stream, error) {
	row, err := t.row(ctx, claimStreamQuery, d.id, t.ms)
	if err != nil {
		return store.Stream{}, err
	}
	st, err := scanStream(row)
	if err != nil {
		return store.Stream{}, fmt.Errorf("claim stream %d: %w", d.id, err)
	}
	t.writes++
	r.move(st.Type, d.state, store.StreamProcessing)
	return st, nil
}

const claimStreamQuery = `
	UPDATE    streams
	SET       state = 'processing', claim = claim + 1, interrupts = interrupts + 1, updated_at = $2
	WHERE     id = $1
	RETURNING` + streamValues

// position fills in where the stream's partition has got to.
func position(ctx context.Context, t *tx, r *run, st *store.Stream) error {
	if st.Type.System() {
		return nil
	}
	if !r.Force {
		err := t.each(ctx, `
			SELECT cursor
			FROM   cursors
			WHERE  integration_id = $1 AND connector = $2 AND partition = $3`,
			[]any{st.IntegrationID, st.Connector, st.Partition}, func(s scanner) error { return s.Scan(&st.Cursor) })
		if err != nil {
			return fmt.Errorf("cursor of stream %d: %w", st.ID, err)
		}
	}
	return nil
}

// watermarks returns how far the integration's connectors are, for the calls of a
// run: its plan looks at all of them. One that lies ahead is of a clock that was set
// wrong: nobody knows what has changed since then, so there is none.
func watermarks(ctx context.Context, t *tx, integrationID int64) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	err := t.each(ctx, "SELECT connector, at FROM watermarks WHERE integration_id = $1 AND at <= $2",
		[]any{integrationID, aheadOf(t.ms)}, func(s scanner) error {
			var (
				connector string
				at        int64
			)
			err := s.Scan(&connector, &at)
			out[connector] = fromMillis(at)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("watermarks of integration %d: %w", integrationID, err)
	}
	return out, nil
}

// NextStreamDue returns when the next waiting stream of the run's phase can be
// claimed, the run's sleep and the throttles considered. ok is false if none
// waits.
func (db *DB) NextStreamDue(ctx context.Context, runID int64) (at time.Time, ok bool, err error) {
	var (
		r   run
		now = db.opts.Now().UnixMilli()
	)
	err = db.get(ctx, runQuery, []any{runID}, func(s scanner) (err error) {
		r, err = scanRun(s)
		return err
	})
	if err != nil {
		return time.Time{}, false, fmt.Errorf("run %d: %w", runID, err)
	}
	if r.State.Terminal() {
		return time.Time{}, false, nil
	}
	due, ok, err := nextDue(ctx, db.list, runID, r.phase, r.Plugin, now)
	if err != nil || !ok {
		return time.Time{}, false, err
	}
	if r.sleeps(now) {
		due = max(due, r.DelayedUntil.UnixMilli())
	}
	return fromMillis(due), true, nil
}
