package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// rankSkipped is the rank of a connector that has said that it does not run: its
// streams are not worked on.
const rankSkipped = -1

// allowPhase returns the phase in which the connectors of a rank are asked whether
// they may run: before their streams, after those of earlier ranks (O21).
func allowPhase(rank int) int { return workPhase(rank) - 1 }

// ask adds a stream per connector that asks the plugin whether it may run.
func (r *run) ask(ctx context.Context, t *tx, ranks map[string]int) error {
	for _, c := range r.Connectors {
		err := r.addSystem(ctx, t, store.StreamAllow, string(store.StreamAllow)+":"+c, allowPhase(ranks[c]), []byte(c))
		if err != nil {
			return err
		}
	}
	return nil
}

// results returns how the parts of the connectors before that one ended.
func (r *run) results(ctx context.Context, t *tx, connector string) (out []store.ConnectorStatus, err error) {
	ranks, err := r.rankOf()
	if err != nil {
		return nil, err
	}
	parts, err := r.judge(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if rank, ok := ranks[p.Connector]; ok && rank < ranks[connector] {
			out = append(out, *p)
		}
	}
	return out, nil
}

// skip leaves a connector out of the run for good: the streams that it has are
// cancelled with the reason, and no more are added.
func (r *run) skip(ctx context.Context, t *tx, v *store.Veto) error {
	ranks, err := r.rankOf()
	if err != nil {
		return err
	}
	if ranks == nil { // all beside each other
		ranks = make(map[string]int, len(r.Connectors))
		for _, c := range r.Connectors {
			ranks[c] = 0
		}
	}
	if _, ok := ranks[v.Connector]; !ok {
		return fmt.Errorf("veto of connector %q: %w", v.Connector, invalid())
	}
	if ranks[v.Connector] != rankSkipped {
		ranks[v.Connector] = rankSkipped
		if err := r.setRanks(ctx, t, ranks); err != nil {
			return err
		}
	}
	code := "not_allowed"
	if v.Gone {
		code = "connector_gone"
	}
	failure, err := encodeFailure(&store.Failure{
		Point: "allowed", Class: "cancelled", Code: code, Message: v.Reason, At: fromMillis(t.ms),
	})
	if err != nil {
		return err
	}
	if err := r.cancelConnector(ctx, t, v.Connector, failure); err != nil {
		return err
	}
	if err := r.openStatus(ctx, t, v.Connector); err != nil {
		return err
	}
	_, err = t.exec(ctx, `
		UPDATE connector_statuses
		SET    code = 'skipped', message = $3, ended_at = $4
		WHERE  run_id = $1 AND connector = $2`, r.ID, v.Connector, v.Reason, t.ms)
	if err != nil {
		return fmt.Errorf("skip connector %s of run %d: %w", v.Connector, r.ID, err)
	}
	return nil
}

// cancelConnector cancels what waits of a connector: with a failure for good, and
// without one until the run is continued.
func (r *run) cancelConnector(ctx context.Context, t *tx, connector string, failure any) error {
	// One statement, however many streams wait, up to store.MaxStreamsPerRun: they are
	// this run's, and have not been touched since they were planned. The phase that
	// follows begins when the last of them is cancelled.
	for _, from := range []store.StreamState{store.StreamPending, store.StreamDelayed} {
		n, err := t.exec(ctx, `
			UPDATE streams
			SET    state = 'cancelled', failure = $4, updated_at = $5
			WHERE  run_id = $1 AND connector = $2 AND state = $3`, r.ID, connector, string(from), failure, t.ms)
		if err != nil {
			return fmt.Errorf("cancel connector %s of run %d: %w", connector, r.ID, err)
		}
		*r.count(from) -= n
		r.Streams.Cancelled += n
	}
	return nil
}

// leaveOut leaves the connectors out of the run that the plugin has no more, but for
// those that are left out already.
func (r *run) leaveOut(ctx context.Context, t *tx, gone []store.Veto) error {
	if len(gone) == 0 {
		return nil
	}
	ranks, err := r.rankOf()
	if err != nil {
		return err
	}
	for _, v := range gone {
		if !slices.Contains(r.Connectors, v.Connector) || ranks[v.Connector] == rankSkipped {
			continue
		}
		if err := r.skip(ctx, t, &v); err != nil {
			return err
		}
	}
	return nil
}

// answered does what the answer to the question of a connector means: it is left
// out if it does not want to run, and waits for somebody to continue the run if
// there is no answer.
func (r *run) answered(ctx context.Context, t *tx, streamID int64, e *store.StreamEnd) error {
	switch {
	case e.State == store.StreamProcessed && e.Veto != nil:
		return r.skip(ctx, t, e.Veto)
	case e.State == store.StreamError:
		var connector []byte
		if err := t.get(ctx, "SELECT data FROM streams WHERE id = $1", []any{streamID}, &connector); err != nil {
			return fmt.Errorf("check of run %d: %w", r.ID, err)
		}
		return r.cancelConnector(ctx, t, string(connector), nil)
	default:
		return nil
	}
}
