package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/jackfield/jackfield/store"
)

// sweep is a full run that deletes at its end what it has not seen (K07).
type sweep struct {
	run      int64
	position int64             // of the feed when it began
	kinds    map[string]string // to connector
	share    float64
	accept   bool
}

// sweepRow is a sweep as it is read beside a run.
type sweepRow struct {
	run, position, accept sql.NullInt64
	kinds                 nullString
	share                 sql.NullFloat64
}

func (w *sweepRow) decode() (*sweep, error) {
	if !w.run.Valid {
		return nil, nil //nolint:nilnil // most integrations have none
	}
	s := &sweep{run: w.run.Int64, position: w.position.Int64, share: w.share.Float64, accept: w.accept.Int64 == 1}
	if err := json.Unmarshal([]byte(w.kinds.String), &s.kinds); err != nil {
		return nil, fmt.Errorf("decode kinds of sweep: %w", err)
	}
	return s, nil
}

// watch has a full run keep what it sees, if its connectors list kinds completely.
// A run of parameters or of some connectors sees a part, and so does one that goes
// on from cursors.
func (r *run) watch(ctx context.Context, t *tx, b store.RunBegin) error {
	if len(b.Complete) == 0 || len(r.Params) > 0 || !r.Force && r.Kind != store.RunOnboarding {
		return nil
	}
	i, err := integrationByID(ctx, t, r.IntegrationID)
	if err != nil {
		return err
	}
	for _, c := range i.Connectors {
		if !slices.Contains(r.Connectors, c) {
			return nil
		}
	}
	if !r.Force {
		var cursors int64
		if err := t.get(ctx, "SELECT count(*) FROM (SELECT 1 FROM cursors WHERE integration_id = $1 AND cursor IS NOT NULL LIMIT 1) AS c",
			[]any{r.IntegrationID}, &cursors); err != nil || cursors > 0 {
			return err
		}
	}
	s := &sweep{run: r.ID, position: t.pos, kinds: map[string]string{}, share: b.DeleteGuard, accept: r.AcceptDeletes}
	for connector, kinds := range b.Complete {
		for _, kind := range kinds {
			if slices.Contains(r.Connectors, connector) {
				s.kinds[kind] = connector
			}
		}
	}
	if len(s.kinds) == 0 {
		return nil
	}
	kinds, err := encode(s.kinds)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `
		INSERT INTO sweeps (integration_id, run_id, position, kinds, share, accept)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (integration_id) DO UPDATE
		SET run_id = excluded.run_id, position = excluded.position, kinds = excluded.kinds, share = excluded.share, accept = excluded.accept`,
		r.IntegrationID, r.ID, s.position, kinds, s.share, flag(s.accept))
	if err != nil {
		return fmt.Errorf("watch what run %d sees: %w", r.ID, err)
	}
	r.sweep = s
	return nil
}

// endWatch ends it with the run, but for one that may be continued.
func (r *run) endWatch(ctx context.Context, t *tx) error {
	if r.sweep == nil || r.sweep.run != r.ID || r.State != store.RunProcessed && r.State != store.RunCancelled {
		return nil
	}
	if _, err := t.exec(ctx, "DELETE FROM sweeps WHERE integration_id = $1 AND run_id = $2", r.IntegrationID, r.ID); err != nil {
		return fmt.Errorf("end sweep of run %d: %w", r.ID, err)
	}
	r.sweep = nil
	return nil
}

// seenKey is how a record is remembered. Two that share one by chance keep each
// other: nothing is deleted that should not be.
func seenKey(kind, id string) int64 {
	b := make([]byte, 0, 128)
	b = frameText(b, kind)
	return int64(xxh3.Hash(append(b, id...))) //nolint:gosec // all its bits
}

// seenRows is how many keys a statement takes.
const seenRows = 100

// see remembers the records of a segment, whichever run it belongs to: what another
// one meets meanwhile is there too.
func (s *sweep) see(ctx context.Context, t *tx, rows *rowSet) error {
	var keys []int64
	for i := range rows.n {
		row := rows.args[i*recordColumns:]
		kind, _ := row[3].(string)
		id, _ := row[4].(string)
		if _, ok := s.kinds[kind]; ok && row[11] != nil { // else it is deleted
			keys = append(keys, seenKey(kind, id))
		}
	}
	slices.Sort(keys)
	for chunk := range slices.Chunk(keys, seenRows) {
		size := 1
		if len(chunk) == seenRows {
			size = seenRows
		}
		values := strings.Repeat("(?,?),", size-1) + "(?,?)"
		for part := range slices.Chunk(chunk, size) {
			args := make([]any, 0, 2*size)
			for _, key := range part {
				args = append(args, s.run, key)
			}
			if _, err := t.exec(ctx, "INSERT INTO seen (run_id, key) VALUES "+values+" ON CONFLICT (run_id, key) DO NOTHING", args...); err != nil {
				return fmt.Errorf("remember what was seen: %w", err)
			}
		}
	}
	return nil
}

// beginSweep adds the stream that deletes, once all of the plugin's are done, and
// reports whether the run goes on with it. Only a connector counts of which every
// stream was processed and no record was left out with a warning.
func (r *run) beginSweep(ctx context.Context, t *tx) (bool, error) {
	if r.sweep == nil || r.sweep.run != r.ID {
		return false, nil
	}
	var there int64
	err := t.get(ctx, "SELECT count(*) FROM streams WHERE run_id = $1 AND connector = ':' AND ident = 'sweep'", []any{r.ID}, &there)
	if err != nil || there > 0 {
		return false, err
	}
	parts, err := r.judge(ctx, t)
	if err != nil {
		return false, err
	}
	whole := make(map[string]bool)
	warnings := r.Stats.Warnings
	for _, p := range parts {
		whole[p.Connector] = p.Code == store.ConnectorCompleted && p.Processed > 0 && p.Stats.Warnings == 0
		warnings -= p.Stats.Warnings
	}
	var kinds []string
	for kind, connector := range r.sweep.kinds {
		if whole[connector] && warnings == 0 { // the plan's would be of any of them
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return false, nil
	}
	slices.Sort(kinds)
	data, err := json.Marshal(kinds)
	if err != nil {
		return false, fmt.Errorf("kinds to sweep: %w", err)
	}
	if err := r.addSystem(ctx, t, store.StreamSweep, string(store.StreamSweep), phaseSweep, data); err != nil {
		return false, err
	}
	return true, r.enter(ctx, t, phaseSweep)
}

// purgeSeen removes what no sweep will ask for.
func (db *DB) purgeSeen(ctx context.Context, _ store.Retention) (bool, error) {
	for after := int64(-1); ; {
		var run sql.NullInt64
		if err := db.list(ctx, "SELECT min(run_id) FROM seen WHERE run_id > $1", []any{after}, func(s scanner) error { return s.Scan(&run) }); err != nil {
			return false, fmt.Errorf("what was seen: %w", err)
		}
		if !run.Valid {
			return false, nil
		}
		after = run.Int64
		if used, err := db.any(ctx, sweepOfRun, after); err != nil || used {
			if err != nil {
				return false, err
			}
			continue
		}
		more, err := db.portion(ctx, func(ctx context.Context, t *tx, n int) (int64, error) {
			return t.exec(ctx, "DELETE FROM seen WHERE run_id = $1 AND key IN (SELECT key FROM seen WHERE run_id = $1 ORDER BY key LIMIT $2)", after, n)
		})
		if err != nil || more {
			return more, err
		}
	}
}

const sweepOfRun = "SELECT run_id FROM sweeps WHERE run_id = $1"
