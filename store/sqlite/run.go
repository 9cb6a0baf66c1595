package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// run is a run with what the driver keeps of it besides.
type run struct {
	store.Run
	phase       int
	postprocess bool
	ranks       nullString        // JSON: rank by connector; NULL: all are worked on beside each other
	delayedFrom moment            // when DelayedUntil was computed
	saved       store.RunState    // as the row has it
	stuck       bool              // likewise
	sweep       *sweep            // of the integration, perhaps of another run; nil: none
	tallies     map[string]*tally // by connector: what is not written yet
	cancelling  bool              // it has more streams than one transaction cancels
}

const runColumns = `
	r.id, r.integration_id, t.name, i.name, i.plugin, r.class, r.kind, r.state, r.phase, r.connectors, r.params, r.params_sum,
	r.force, r.postprocess, r.ranks, r.created_at, r.started_at, r.planned_at, r.delayed_until, r.delayed_from, r.delay_reason, r.ended_at, r.updated_at, r.failure,
	r.read, r.added, r.updated, r.deleted, r.unchanged, r.stale, r.warnings,
	r.n_pending, r.n_processing, r.n_delayed, r.n_processed, r.n_error, r.n_cancelled,
	r.accept_deletes, r.stuck_since, w.run_id, w.position, w.kinds, w.share, w.accept
	FROM runs r JOIN integrations i ON i.id = r.integration_id JOIN tenants t ON t.id = i.tenant_id
	LEFT JOIN sweeps w ON w.integration_id = r.integration_id`

const (
	runQuery          = `SELECT` + runColumns + ` WHERE r.id = $1`
	preprocessedQuery = "SELECT preprocessed FROM run_data WHERE run_id = $1"
)

func scanRun(s scanner) (run, error) {
	var (
		r                              run
		connectors                     string
		params, failure                nullString
		created, updated               int64
		started, planned, until, ended moment
		stuck                          moment
		st, n                          = &r.Stats, &r.Streams
		w                              sweepRow
	)
	err := s.Scan(&r.ID, &r.IntegrationID, &r.Tenant, &r.Integration, &r.Plugin, &r.Class, &r.Kind, &r.State, &r.phase, &connectors, &params, &r.ParamsSum,
		&r.Force, &r.postprocess, &r.ranks, &created, &started, &planned, &until, &r.delayedFrom, &r.DelayReason, &ended, &updated, &failure,
		&st.Read, &st.Added, &st.Updated, &st.Deleted, &st.Unchanged, &st.Stale, &st.Warnings,
		&n.Pending, &n.Processing, &n.Delayed, &n.Processed, &n.Error, &n.Cancelled,
		&r.AcceptDeletes, &stuck, &w.run, &w.position, &w.kinds, &w.share, &w.accept)
	if err != nil {
		return run{}, err
	}
	if err := json.Unmarshal([]byte(connectors), &r.Connectors); err != nil {
		return run{}, fmt.Errorf("decode connectors: %w", err)
	}
	if params.Valid {
		if err := json.Unmarshal([]byte(params.String), &r.Params); err != nil {
			return run{}, fmt.Errorf("decode parameters: %w", err)
		}
	}
	r.CreatedAt, r.UpdatedAt = fromMillis(created), fromMillis(updated)
	r.StartedAt, r.PlannedAt, r.DelayedUntil, r.EndedAt = started.time(), planned.time(), until.time(), ended.time()
	r.StuckSince = stuck.time()
	r.saved, r.stuck = r.State, stuck.Valid
	if r.sweep, err = w.decode(); err != nil {
		return run{}, err
	}
	r.Failure, err = decodeFailure(failure)
	return r, err
}

// loadRun reads a run within t, without what Preprocess made.
func loadRun(ctx context.Context, t *tx, id int64) (*run, error) {
	row, err := t.row(ctx, runQuery, id)
	if err != nil {
		return nil, err
	}
	r, err := scanRun(row)
	if err != nil {
		return nil, fmt.Errorf("run %d: %w", id, notFound(err))
	}
	return &r, nil
}

// save writes what moves in a run. The state is left out if it is what it was:
// naming it would rewrite the indexes that depend on it.
func (r *run) save(ctx context.Context, t *tx) error {
	failure, err := encodeFailure(r.Failure)
	if err != nil {
		return err
	}
	st, n := r.Stats, r.Streams
	r.UpdatedAt = fromMillis(t.ms)
	args := []any{
		r.ID, r.phase, flag(r.postprocess), millis(r.StartedAt), millis(r.PlannedAt), millis(r.DelayedUntil), millis(r.EndedAt),
		t.ms, failure, st.Read, st.Added, st.Updated, st.Deleted, st.Unchanged, st.Stale,
		st.Warnings, n.Pending, n.Processing, n.Delayed, n.Processed, n.Error, n.Cancelled, r.DelayReason,
	}
	query := saveRun
	if r.stuck && r.StuckSince.IsZero() {
		query += ", stuck_since = NULL"
	}
	if r.State != r.saved {
		query += ", state = $24"
		args = append(args, string(r.State))
	}
	t.touch(r.ID)
	if _, err := t.exec(ctx, query+saveRunWhere, args...); err != nil {
		return fmt.Errorf("save run %d: %w", r.ID, conflict(err))
	}
	r.saved, r.stuck = r.State, !r.StuckSince.IsZero()
	return nil
}

const (
	saveRun = `
	UPDATE runs
	SET    phase = $2, postprocess = $3, started_at = $4, planned_at = $5, delayed_until = $6, ended_at = $7,
	       delayed_from = CASE WHEN delayed_until = $6 THEN delayed_from ELSE $8 END,
	       updated_at = $8, failure = $9, read = $10, added = $11, updated = $12, deleted = $13, unchanged = $14, stale = $15,
	       warnings = $16, n_pending = $17, n_processing = $18, n_delayed = $19, n_processed = $20, n_error = $21, n_cancelled = $22, delay_reason = $23`
	saveRunWhere = `
	WHERE  id = $1`
)

// delay makes the run wait, at least until then.
func (r *run) delay(until int64, why string) {
	r.State = store.RunDelayed
	if at := fromMillis(until); at.After(r.DelayedUntil) { // the longer of two
		r.DelayedUntil, r.DelayReason = at, why
	}
}

// wake ends the run's delay.
func (r *run) wake() {
	r.State = store.RunProcessing
	r.DelayedUntil, r.DelayReason = time.Time{}, ""
}

// sleeps reports whether the run's sleep is not over.
func (r *run) sleeps(now int64) bool {
	return !r.DelayedUntil.IsZero() && r.DelayedUntil.UnixMilli() > now && !setBack(r.delayedFrom.Int64, now)
}

// count returns the counter of streams in the state.
func (r *run) count(s store.StreamState) *int64 {
	switch s {
	case store.StreamPending:
		return &r.Streams.Pending
	case store.StreamProcessing:
		return &r.Streams.Processing
	case store.StreamDelayed:
		return &r.Streams.Delayed
	case store.StreamProcessed:
		return &r.Streams.Processed
	case store.StreamError:
		return &r.Streams.Error
	default:
		return &r.Streams.Cancelled
	}
}

// move counts a stream of the plugin that goes from one state to another.
func (r *run) move(typ store.StreamType, from, to store.StreamState) {
	if !typ.System() {
		*r.count(from)--
		*r.count(to)++
	}
}

// Run returns a run with what Preprocess made.
func (db *DB) Run(ctx context.Context, id int64) (store.Run, error) {
	var r run
	err := db.get(ctx, runQuery, []any{id}, func(s scanner) (err error) {
		r, err = scanRun(s)
		return err
	})
	if err == nil {
		r.Preprocessed, err = preprocessed(ctx, db.list, id)
	}
	if err != nil {
		return store.Run{}, fmt.Errorf("run %d: %w", id, err)
	}
	return r.Run, nil
}

func preprocessed(ctx context.Context, list lister, runID int64) (data []byte, err error) {
	err = list(ctx, preprocessedQuery, []any{runID}, func(s scanner) error {
		return s.Scan(&data)
	})
	return data, err
}

// Runs returns the runs that f selects, newest first, without what Preprocess
// made.
func (db *DB) Runs(ctx context.Context, f store.RunFilter) ([]store.Run, error) {
	// Two texts, so that each has its index: the runs of one integration, or all.
	where := `WHERE r.integration_id = $1`
	if f.IntegrationID == 0 {
		where = `WHERE $1 = 0`
	}
	before := f.Before
	if before == 0 {
		before = 1 << 62
	}
	var out []store.Run
	err := db.list(ctx, `SELECT`+runColumns+" "+where+` AND r.id < $2 AND ($3 = '' OR r.state = $3) AND ($4 = '' OR t.name = $4)
		  AND ($5 = 0 OR r.stuck_since IS NOT NULL)
		ORDER BY r.id DESC
		LIMIT    $6`, []any{f.IntegrationID, before, string(f.State), f.Tenant, flag(f.Stuck), limit(f.Limit, 100)}, func(s scanner) error {
		r, err := scanRun(s)
		out = append(out, r.Run)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return out, nil
}

// NextRun returns the open run that the holder of l should work on: one that a
// person asked for in particular goes first, then the one that is under way, then
// the oldest; but one that has nothing to do now, such as while a retry or a rate
// limit is awaited, lets the others go on. A run that sleeps is passed over; ok is
// false if nothing else is there.
func (db *DB) NextRun(ctx context.Context, l store.Lane) (next store.Run, ok bool, err error) {
	open, err := candidates(ctx, db.list, l.IntegrationID, l.Class)
	if err == nil {
		var id int64
		id, ok, err = choose(ctx, db.list, open, l.Plugin, db.opts.Now().UnixMilli())
		if err == nil && ok {
			next, err = db.Run(ctx, id)
		}
	}
	if err != nil {
		return store.Run{}, false, fmt.Errorf("next run of integration %d: %w", l.IntegrationID, err)
	}
	return next, ok, nil
}

// BeginRun moves an open run to processing under the lane's fence; one that is
// under way stays so. Another run of the lane that was under way is delayed until
// this one is over (K12). The first time it makes the run's own streams.
func (db *DB) BeginRun(ctx context.Context, lane store.LaneRef, runID int64, b store.RunBegin) (store.Run, error) {
	var r *run
	err := db.update(ctx, func(ctx context.Context, t *tx) (err error) {
		if r, err = heldRun(ctx, t, lane, runID); err != nil {
			return err
		}
		if err := r.goOn(ctx, t, b); err != nil {
			return err
		}
		r.Preprocessed, err = preprocessed(ctx, t.each, runID)
		return err
	})
	if err != nil {
		return store.Run{}, fmt.Errorf("begin run %d: %w", runID, err)
	}
	return r.Run, nil
}

// goOn begins a run of which something may have been done before, and beside which
// another one may be under way.
func (r *run) goOn(ctx context.Context, t *tx, b store.RunBegin) error {
	if err := r.begin(ctx, t, b); err != nil {
		return err
	}
	if r.saved != store.RunProcessing {
		if _, err := t.exec(ctx, `
			UPDATE runs
			SET    state = 'delayed', updated_at = $3
			WHERE  integration_id = $1 AND class = $2 AND state = 'processing'`, r.IntegrationID, r.Class, t.ms); err != nil {
			return fmt.Errorf("pause run: %w", err)
		}
	}
	if err := r.save(ctx, t); err != nil {
		return err
	}
	// What was left of it may have been skipped while it waited.
	return r.settle(ctx, t)
}

// begin moves an open run to processing; it is not saved yet.
func (r *run) begin(ctx context.Context, t *tx, b store.RunBegin) error {
	if r.State.Terminal() {
		return fmt.Errorf("run %d is %s: %w", r.ID, r.State, store.ErrConflict)
	}
	if r.sleeps(t.ms) {
		return fmt.Errorf("run %d sleeps until %v: %w", r.ID, r.DelayedUntil, store.ErrConflict)
	}
	if r.StartedAt.IsZero() {
		if err := r.start(ctx, t, b); err != nil {
			return err
		}
	}
	if err := r.leaveOut(ctx, t, b.Gone); err != nil {
		return err
	}
	r.wake()
	r.postprocess = b.Postprocess
	return nil
}

// start makes the run's own streams.
func (r *run) start(ctx context.Context, t *tx, b store.RunBegin) error {
	r.StartedAt = fromMillis(t.ms)
	if err := r.onboardAnew(ctx, t); err != nil {
		return err
	}
	r.phase = phasePlan
	if b.Preprocess {
		r.phase = phasePreprocess
		if err := r.systemStream(ctx, t, store.StreamPreprocess, phasePreprocess); err != nil {
			return err
		}
	}
	if err := r.systemStream(ctx, t, store.StreamPlan, phasePlan); err != nil {
		return err
	}
	if err := r.order(ctx, t, b); err != nil {
		return err
	}
	if err := r.watch(ctx, t, b); err != nil {
		return err
	}
	return r.openStatuses(ctx, t)
}

// systemStream adds one of the run's own calls. It is known by its type, under a
// connector that a plugin cannot name.
func (r *run) systemStream(ctx context.Context, t *tx, typ store.StreamType, phase int) error {
	return r.addSystem(ctx, t, typ, string(typ), phase, nil)
}

func (r *run) addSystem(ctx context.Context, t *tx, typ store.StreamType, ident string, phase int, data []byte) error {
	_, err := t.exec(ctx, `
		INSERT INTO streams (run_id, integration_id, type, phase, connector, ident, limit_key, state, due_at, created_at, updated_at, data)
		VALUES ($1, $2, $3, $4, ':', $7, $5, 'pending', $6, $6, $6, $8)`,
		r.ID, r.IntegrationID, string(typ), phase, limitKey("", r.IntegrationID), t.ms, ident, blob(data))
	if err != nil {
		return fmt.Errorf("add stream %s of run %d: %w", typ, r.ID, err)
	}
	return nil
}

// limitKey returns the key under which a stream is limited: by default the
// integration, whose credential it uses (K14).
func limitKey(key string, integrationID int64) string {
	if key == "" {
		return fmt.Sprintf("integration:%d", integrationID)
	}
	return key
}
