package sqlite

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// trouble is what is not well in a connector's part of a run.
type trouble struct {
	failed, cancelled         int64
	refused                   bool  // its check failed for good, so nobody knows whether it may run
	lastFailed, lastCancelled int64 // streams
}

// judge says how the parts of the run's connectors ended, or would end if the run
// did now.
func (r *run) judge(ctx context.Context, t *tx) ([]*store.ConnectorStatus, error) {
	if err := r.saveTallies(ctx, t); err != nil {
		return nil, err
	}
	parts, err := statusesOf(ctx, t.each, r.ID)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(parts))
	for _, p := range parts {
		known[p.Connector] = true
	}
	for _, c := range r.Connectors {
		if !known[c] {
			parts = append(parts, &store.ConnectorStatus{RunID: r.ID, IntegrationID: r.IntegrationID, Connector: c})
		}
	}
	bad, err := r.troubles(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.Code == store.ConnectorSkipped {
			p.Cancelled = bad[p.Connector].cancelled
			continue
		}
		b := bad[p.Connector]
		p.Failed, p.Cancelled = b.failed, b.cancelled
		p.Code = r.codeOf(p, b)
		if p.Code == store.ConnectorCompleted {
			continue
		}
		why := r.Failure
		if last := cmp.Or(b.lastFailed, b.lastCancelled); last != 0 && p.Code != store.ConnectorCancelled {
			st, err := loadStream(ctx, t, last)
			if err != nil {
				return nil, err
			}
			if st.Failure != nil {
				why = st.Failure
			}
		}
		if why != nil {
			p.Message = why.Code + ": " + why.Message
		}
	}
	return parts, nil
}

// codeOf returns how a part ended that is not skipped.
func (r *run) codeOf(p *store.ConnectorStatus, b trouble) store.ConnectorCode {
	some := p.Processed > 0
	switch {
	case r.State == store.RunCancelled && (b.cancelled > 0 || r.cancelling || r.PlannedAt.IsZero()):
		return store.ConnectorCancelled
	case (b.failed > 0 || b.cancelled > 0 || b.refused) && some:
		return store.ConnectorPartial
	case b.failed > 0 || b.refused || r.PlannedAt.IsZero() || b.cancelled > 0 && r.State == store.RunError:
		return store.ConnectorFailed
	case b.cancelled > 0: // each by a person
		return store.ConnectorSkipped
	default:
		return store.ConnectorCompleted
	}
}

// troubles reads what failed and what was cancelled, from the index that has
// nothing else.
func (r *run) troubles(ctx context.Context, t *tx) (map[string]trouble, error) {
	out := map[string]trouble{}
	if r.Streams.Error+r.Streams.Cancelled == 0 && !r.ranks.Valid {
		return out, nil
	}
	err := t.each(ctx, troublesQuery, []any{r.ID}, func(s scanner) error {
		var (
			connector string
			typ       store.StreamType
			state     store.StreamState
			n, last   int64
		)
		if err := s.Scan(&connector, &typ, &state, &n, &last); err != nil {
			return err
		}
		b := out[connector]
		if state == store.StreamError {
			b.lastFailed = max(b.lastFailed, last)
		} else {
			b.lastCancelled = max(b.lastCancelled, last)
		}
		switch {
		case typ == store.StreamAllow:
			b.refused = b.refused || state == store.StreamError
		case state == store.StreamError:
			b.failed += n
		default:
			b.cancelled += n
		}
		out[connector] = b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("streams of run %d: %w", r.ID, err)
	}
	return out, nil
}

const troublesQuery = `
	SELECT   CASE type WHEN 'allow' THEN CAST(data AS TEXT) ELSE connector END AS name,
	         CASE type WHEN 'allow' THEN type ELSE 'root' END AS kind, state, count(*), max(id)
	FROM     streams
	WHERE    run_id = $1 AND state IN ('error', 'cancelled') AND type IN ('root', 'child', 'allow')
	GROUP BY name, kind, state`
