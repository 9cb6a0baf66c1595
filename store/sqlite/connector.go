package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// tally is what the segments of a transaction add to a connector's part of a run.
type tally struct {
	stats              store.RunStats
	processed          int64
	startedAt, endedAt int64
}

// tally counts a segment for its stream's connector. It is written with the run,
// once for all segments of the transaction: what a run's end has to know is there
// then, whatever the number of its streams.
func (r *run) tally(t *tx, s *streamRow, n store.RunStats, e *store.StreamEnd) {
	if s.typ.System() {
		return
	}
	c, ok := r.tallies[s.connector]
	if !ok {
		if r.tallies == nil {
			r.tallies = make(map[string]*tally)
		}
		c = &tally{startedAt: s.movedAt}
		r.tallies[s.connector] = c
	}
	addStats(&c.stats, n)
	c.startedAt = min(c.startedAt, s.movedAt)
	c.endedAt = t.ms
	if e != nil && e.State == store.StreamProcessed {
		c.processed++
	}
}

const addTallyQuery = `
	UPDATE connector_statuses
	SET    read = read + $3, added = added + $4, updated = updated + $5, deleted = deleted + $6, unchanged = unchanged + $7,
	       stale = stale + $8, warnings = warnings + $9, n_processed = n_processed + $10,
	       started_at = min(coalesce(started_at, $11), $11), ended_at = $12
	WHERE  run_id = $1 AND connector = $2`

// saveTallies writes what was counted.
func (r *run) saveTallies(ctx context.Context, t *tx) error {
	for connector, c := range r.tallies {
		args := []any{
			r.ID, connector, c.stats.Read, c.stats.Added, c.stats.Updated, c.stats.Deleted, c.stats.Unchanged, c.stats.Stale, c.stats.Warnings,
			c.processed, c.startedAt, c.endedAt,
		}
		n, err := t.exec(ctx, addTallyQuery, args...)
		if err == nil && n == 0 { // a connector that the run was not asked for
			if err = r.openStatus(ctx, t, connector); err == nil {
				_, err = t.exec(ctx, addTallyQuery, args...)
			}
		}
		if err != nil {
			return fmt.Errorf("count for connector %s of run %d: %w", connector, r.ID, err)
		}
	}
	clear(r.tallies)
	return nil
}

// openStatuses begins the parts of the run's connectors.
func (r *run) openStatuses(ctx context.Context, t *tx) error {
	for _, c := range r.Connectors {
		if err := r.openStatus(ctx, t, c); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) openStatus(ctx context.Context, t *tx, connector string) error {
	_, err := t.exec(ctx, `
		INSERT INTO connector_statuses (integration_id, run_id, connector)
		VALUES ($1, $2, $3)
		ON CONFLICT (run_id, connector) DO NOTHING`, r.IntegrationID, r.ID, connector)
	if err != nil {
		return fmt.Errorf("connector %s of run %d: %w", connector, r.ID, err)
	}
	return nil
}

// closeStatuses writes how the connectors' parts ended.
func (r *run) closeStatuses(ctx context.Context, t *tx, parts []*store.ConnectorStatus) error {
	for _, p := range parts {
		ended := p.EndedAt
		if p.Code != store.ConnectorCompleted || ended.IsZero() {
			ended = t.now
		}
		n, err := r.closeStatus(ctx, t, p, ended)
		if err == nil && n == 0 { // of a run that never began
			if err = r.openStatus(ctx, t, p.Connector); err == nil {
				_, err = r.closeStatus(ctx, t, p, ended)
			}
		}
		if err != nil {
			return fmt.Errorf("end connector %s of run %d: %w", p.Connector, r.ID, err)
		}
	}
	return nil
}

func (r *run) closeStatus(ctx context.Context, t *tx, p *store.ConnectorStatus, ended time.Time) (int64, error) {
	return t.exec(ctx, `
		UPDATE connector_statuses
		SET    code = $3, message = $4, ended_at = $5, n_error = $6, n_cancelled = $7, data = $8
		WHERE  run_id = $1 AND connector = $2`,
		r.ID, p.Connector, string(p.Code), p.Message, ended.UnixMilli(), p.Failed, p.Cancelled, text(string(p.Data)))
}

// reopenStatuses takes back how the connectors' parts ended, but for those that
// are skipped: nobody asks them again.
func (r *run) reopenStatuses(ctx context.Context, t *tx) error {
	_, err := t.exec(ctx, `
		UPDATE connector_statuses
		SET    code = '', message = '', data = NULL
		WHERE  run_id = $1 AND code <> 'skipped'`, r.ID)
	if err != nil {
		return fmt.Errorf("reopen connectors of run %d: %w", r.ID, err)
	}
	return nil
}

// forgetStatuses drops the connector statuses of a run that is removed. The last
// one that completed stays, of each connector of each integration: people ask for
// it long after (O28).
func forgetStatuses(ctx context.Context, t *tx, runID int64) error {
	_, err := t.exec(ctx, `
		DELETE FROM connector_statuses
		WHERE  run_id = $1
		  AND  id NOT IN (
		         SELECT   max(l.id)
		         FROM     connector_statuses s JOIN connector_statuses l ON l.integration_id = s.integration_id AND l.connector = s.connector
		         WHERE    s.run_id = $1 AND l.code = 'completed'
		         GROUP BY l.integration_id, l.connector)`, runID)
	if err != nil {
		return fmt.Errorf("forget connectors of run %d: %w", runID, err)
	}
	return nil
}

const statusColumns = `
	c.id, c.integration_id, t.name, i.name, c.run_id, c.connector, c.code, c.message, c.started_at, c.ended_at,
	c.n_processed, c.n_error, c.n_cancelled, c.read, c.added, c.updated, c.deleted, c.unchanged, c.stale, c.warnings, c.data
	FROM connector_statuses c JOIN integrations i ON i.id = c.integration_id JOIN tenants t ON t.id = i.tenant_id`

func scanStatus(s scanner) (*store.ConnectorStatus, error) {
	var (
		c              store.ConnectorStatus
		started, ended moment
		data           nullString
		n              = &c.Stats
	)
	err := s.Scan(&c.ID, &c.IntegrationID, &c.Tenant, &c.Integration, &c.RunID, &c.Connector, &c.Code, &c.Message, &started, &ended,
		&c.Processed, &c.Failed, &c.Cancelled, &n.Read, &n.Added, &n.Updated, &n.Deleted, &n.Unchanged, &n.Stale, &n.Warnings, &data)
	c.StartedAt, c.EndedAt = started.time(), ended.time()
	if data.Valid {
		c.Data = []byte(data.String)
	}
	return &c, err
}

// statusesOf reads the parts of a run, in the order in which they were asked for.
func statusesOf(ctx context.Context, list lister, runID int64) (out []*store.ConnectorStatus, err error) {
	err = list(ctx, `SELECT`+statusColumns+` WHERE c.run_id = $1 ORDER BY c.id`, []any{runID}, func(s scanner) error {
		c, err := scanStatus(s)
		out = append(out, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connectors of run %d: %w", runID, err)
	}
	return out, nil
}

// ConnectorStatuses returns the connectors' parts of runs that f selects, the
// newest first. Those of a run that goes on come only if f names it.
func (db *DB) ConnectorStatuses(ctx context.Context, f store.ConnectorFilter) ([]store.ConnectorStatus, error) {
	// A text for each way in, so that each has its index.
	where, of := `WHERE $1 = 0`, int64(0)
	switch {
	case f.RunID != 0:
		where, of = `WHERE c.run_id = $1`, f.RunID
	case f.IntegrationID != 0:
		where, of = `WHERE c.integration_id = $1`, f.IntegrationID
	}
	before, until := f.Before, f.Until.UnixMilli()
	if before == 0 {
		before = 1 << 62
	}
	if f.Until.IsZero() {
		until = 1 << 62
	}
	since := int64(0)
	if !f.Since.IsZero() {
		since = f.Since.UnixMilli()
	}
	var out []store.ConnectorStatus
	err := db.list(ctx, `SELECT`+statusColumns+" "+where+`
		  AND    c.id < $2 AND (c.code = $3 OR $3 = '') AND (c.code <> '' OR $4 <> 0) AND ($5 = '' OR c.connector = $5)
		  AND    ($6 = '' OR t.name = $6) AND ($4 <> 0 OR c.ended_at >= $7 AND c.ended_at < $8)
		  AND    ($9 = 0 OR c.integration_id = $9)
		ORDER BY c.id DESC
		LIMIT    $10`, []any{
		of, before, string(f.Code), f.RunID, f.Connector, f.Tenant, since, until, f.IntegrationID, limit(f.Limit, 100),
	}, func(s scanner) error {
		c, err := scanStatus(s)
		out = append(out, *c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list connector statuses: %w", err)
	}
	return out, nil
}
