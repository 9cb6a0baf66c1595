package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/store"
)

const (
	// sweepRows is how many records one segment of a sweep looks at.
	sweepRows = 500
	// sweptAnyway is how many records of a kind may be deleted whatever their share.
	sweptAnyway = 10
)

// sweepState is the checkpoint of a sweep. It goes through its kinds twice: to
// count, and then, if the guard lets it, to delete.
type sweepState struct {
	Delete bool       `json:"delete,omitempty"`
	Kind   int        `json:"kind,omitempty"`
	After  string     `json:"after,omitempty"` // external id
	Live   int64      `json:"live,omitempty"`  // of the kind
	Gone   int64      `json:"gone,omitempty"`  // of the kind
	Total  int64      `json:"total,omitempty"` // gone, of the kinds before
	Held   []heldKind `json:"held,omitempty"`
}

// heldKind is a kind of which too much is gone.
type heldKind struct {
	Kind string `json:"kind"`
	Gone int64  `json:"gone"`
	Live int64  `json:"live"`
}

// sweepPage makes the next segment of a sweep: the store's own work, guarded,
// fenced and resumed like that of a plugin. What the caller gives is only how the
// claim ends, if it has to.
func (a *apply) sweepPage(ctx context.Context, t *tx, r *workRun, s *streamRow) error {
	if a.given == nil {
		a.given = a.seg
	}
	seg := *a.given
	a.seg, a.rows = &seg, rowSet{}
	var raw []byte
	var kinds []string
	if err := t.get(ctx, "SELECT checkpoint, data FROM streams WHERE id = $1", []any{seg.StreamID}, &seg.Checkpoint, &raw); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if seg.End != nil {
		return nil
	}
	if err := json.Unmarshal(raw, &kinds); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	var st sweepState
	if len(seg.Checkpoint) > 0 {
		if err := json.Unmarshal(seg.Checkpoint, &st); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	// A newer full sync has taken its place: that one knows better.
	over := r.sweep == nil || r.sweep.run != r.ID
	if !over {
		gone, last, err := vanished(ctx, t, r.sweep, s.integrationID, kinds[st.Kind], &st)
		if err != nil {
			return err
		}
		if st.Delete {
			if a.rows, err = prepareRecords(gone); err != nil {
				return err
			}
		}
		st.Gone += int64(len(gone))
		over = last && st.next(kinds, r.sweep)
	}
	if over {
		if err := a.holdDeletes(ctx, t, r, &st); err != nil {
			return err
		}
		seg.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true}
		return nil
	}
	var err error
	if seg.Checkpoint, err = json.Marshal(st); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}

// next goes on to the next kind, and after the last one to the second round. It
// reports whether nothing is left to do.
func (st *sweepState) next(kinds []string, s *sweep) (over bool) {
	if !st.Delete && !s.accept && st.Gone > sweptAnyway && float64(st.Gone) > s.share*float64(st.Live) {
		st.Held = append(st.Held, heldKind{Kind: kinds[st.Kind], Gone: st.Gone, Live: st.Live})
	}
	st.Total += st.Gone
	st.Live, st.Gone, st.After = 0, 0, ""
	st.Kind++
	if st.Kind < len(kinds) {
		return false
	}
	if st.Delete || len(st.Held) > 0 || st.Total == 0 {
		return true
	}
	st.Delete, st.Kind, st.Total = true, 0, 0
	return false
}

// vanished reads the next records of a kind and returns those that were there when
// the run began, have not changed since and were not seen, as deletes. last is true
// for the last of the kind.
func vanished(ctx context.Context, t *tx, s *sweep, integrationID int64, kind string, st *sweepState) (gone []store.Record, last bool, err error) {
	var (
		records []store.Record
		keys    []int64
		n       int
	)
	err = t.each(ctx, sweepQuery, []any{integrationID, kind, st.After, sweepRows}, func(row scanner) error {
		var (
			rec                  = store.Record{Kind: kind}
			parentKind, parentID nullString
			occurred             moment
			deleted              bool
		)
		if err := row.Scan(&rec.ExternalID, &parentKind, &parentID, &rec.Version, &occurred, &deleted, &rec.Position); err != nil {
			return err
		}
		n++
		st.After = rec.ExternalID
		if deleted {
			return nil
		}
		st.Live++
		if rec.Position <= s.position {
			rec.ParentKind, rec.ParentID, rec.OccurredAt, rec.Deleted = parentKind.String, parentID.String, occurred.time(), true
			records = append(records, rec)
			keys = append(keys, seenKey(kind, rec.ExternalID))
		}
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("sweep %s: %w", kind, err)
	}
	seen, err := s.seen(ctx, t, keys)
	if err != nil {
		return nil, false, err
	}
	for i := range records {
		if !seen[keys[i]] {
			gone = append(gone, records[i])
		}
	}
	return gone, n < sweepRows, nil
}

const sweepQuery = `
	SELECT   external_id, parent_kind, parent_id, version, occurred_at, deleted, pos
	FROM     records
	WHERE    integration_id = $1 AND kind = $2 AND external_id > $3
	ORDER BY external_id
	LIMIT    $4`

// seen returns which of the keys were seen.
func (s *sweep) seen(ctx context.Context, t *tx, keys []int64) (map[int64]bool, error) {
	out := make(map[int64]bool)
	for chunk := range slices.Chunk(keys, seenRows) {
		args := make([]any, 0, seenRows+1)
		args = append(args, s.run)
		for i := range seenRows { // one text for all: the last key again and again
			args = append(args, chunk[min(i, len(chunk)-1)])
		}
		err := t.each(ctx, "SELECT key FROM seen WHERE run_id = ? AND key IN ("+holes(seenRows)+")", args, func(row scanner) error {
			var key int64
			err := row.Scan(&key)
			out[key] = true
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look at what was seen: %w", err)
		}
	}
	return out, nil
}

// holdDeletes says that nothing is deleted, and how a person has it done all the
// same.
func (a *apply) holdDeletes(ctx context.Context, t *tx, r *workRun, st *sweepState) error {
	if len(st.Held) == 0 {
		return nil
	}
	for _, h := range st.Held {
		a.seg.Warnings = append(a.seg.Warnings, store.Warning{Message: fmt.Sprintf(
			"deletes_held: %d of %d records of kind %s are gone at the remote system, more than %g%% (delete_guard); nothing was deleted. If that is right: jackfield integration sync %s/%s --force --accept-deletes",
			h.Gone, h.Live, h.Kind, 100*r.sweep.share, r.Tenant, r.Integration,
		)})
	}
	return addEvent(ctx, t, "run.deletes_held", r.IntegrationID, r.ID, map[string]any{"kinds": st.Held})
}
