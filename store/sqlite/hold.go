package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// HoldIntegration disables an integration by a person's command, until
// ReleaseIntegration: files and restarts change nothing about it (O34). No run
// begins; what is under way is cancelled, or goes on to its end with finish. Asked
// again without finish, that ends too. It returns store.ErrConflict, with a hint,
// for one that its file disables.
func (db *DB) HoldIntegration(ctx context.Context, id int64, by string, finish bool) (in store.Integration, err error) {
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		old, err := integrationByID(ctx, t, id)
		if err != nil {
			return err
		}
		if err := declared(old); err != nil {
			return err
		}
		if !old.Enabled {
			return store.Hint(fmt.Errorf("integration %s is disabled by its file: %w", old.FullName(), store.ErrConflict), "nothing is to be done")
		}
		if old.Hold == nil {
			if err := hold(ctx, t, old, by, finish); err != nil {
				return err
			}
		}
		if old.Hold == nil || old.Finishing && !finish {
			if err := stopRuns(ctx, t, id, finish, "integration disabled by "+by); err != nil {
				return err
			}
		}
		in, err = integrationByID(ctx, t, id)
		return err
	})
	if err != nil {
		return store.Integration{}, fmt.Errorf("disable integration: %w", err)
	}
	return in, nil
}

// declared returns store.ErrConflict for an integration that left its file.
func declared(i store.Integration) error {
	if i.RemovedAt.IsZero() {
		return nil
	}
	return store.Hint(fmt.Errorf("integration %s was removed from its file: %w", i.FullName(), store.ErrConflict), "declare it again")
}

// hold keeps what the integration was.
func hold(ctx context.Context, t *tx, old store.Integration, by string, finish bool) error {
	h := &store.Hold{By: by, At: t.now.UTC(), State: old.State, Reason: old.Reason, Scheduled: !old.NextCheckAt.IsZero()}
	if err := setHold(ctx, t, old.ID, h); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `
		UPDATE integrations
		SET    state = 'disabled', reason = $2, next_check_at = NULL, finishing = $3, updated_at = $4
		WHERE  id = $1`, old.ID, heldBy(h), flag(finish), t.ms); err != nil {
		return fmt.Errorf("hold integration %s: %w", old.FullName(), err)
	}
	return addEvent(ctx, t, "integration.disabled", old.ID, 0, map[string]any{"by": by, "finish": finish})
}

func heldBy(h *store.Hold) string { return "disabled by " + h.By }

func setHold(ctx context.Context, t *tx, id int64, h *store.Hold) error {
	var text any
	if h != nil {
		body, err := encode(h)
		if err != nil {
			return err
		}
		text = body
	}
	if _, err := t.exec(ctx, "UPDATE integrations SET hold = $2 WHERE id = $1", id, text); err != nil {
		return fmt.Errorf("hold of integration %d: %w", id, err)
	}
	return nil
}

func decodeHold(text nullString) (*store.Hold, error) {
	if !text.Valid {
		return nil, nil //nolint:nilnil // nobody holds it
	}
	var h store.Hold
	if err := json.Unmarshal([]byte(text.String), &h); err != nil {
		return nil, fmt.Errorf("decode hold: %w", err)
	}
	return &h, nil
}

// stopRuns ends what an integration that was disabled works on. With finish a run
// that has begun goes on, under its fence and generation.
func stopRuns(ctx context.Context, t *tx, id int64, finish bool, reason string) error {
	if finish {
		if err := cancelRunsIn(ctx, t, id, store.ClassPull, reason, " AND started_at IS NULL"); err != nil {
			return err
		}
		return reschedule(ctx, t, id)
	}
	if _, err := t.exec(ctx, "UPDATE integrations SET finishing = 0 WHERE id = $1", id); err != nil {
		return fmt.Errorf("stop integration %d: %w", id, err)
	}
	if err := cancelRuns(ctx, t, id, store.ClassPull, reason); err != nil {
		return err
	}
	return revoke(ctx, t, id, store.ClassPull)
}

// ReleaseIntegration ends a hold: the integration is what it was before, and is
// checked at once if it has a schedule. What goes on of it goes on. One that is not
// held stays as it is; one that its file disables is refused with
// store.ErrConflict and a hint.
func (db *DB) ReleaseIntegration(ctx context.Context, id int64, by string) (in store.Integration, err error) {
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		old, err := integrationByID(ctx, t, id)
		if err != nil {
			return err
		}
		if err := declared(old); err != nil {
			return err
		}
		if !old.Enabled {
			return store.Hint(fmt.Errorf("integration %s is disabled by its file, which no command overrides: %w", old.FullName(), store.ErrConflict),
				fmt.Sprintf("set enabled: true in %s, line %d, then: jackfield reload", old.File, old.Line))
		}
		if old.Hold != nil {
			if err := db.release(ctx, t, old, by); err != nil {
				return err
			}
		}
		in, err = integrationByID(ctx, t, id)
		return err
	})
	if err != nil {
		return store.Integration{}, fmt.Errorf("enable integration: %w", err)
	}
	return in, nil
}

func (db *DB) release(ctx context.Context, t *tx, old store.Integration, by string) error {
	h := *old.Hold
	if loaded := db.loaded.Load(); loaded != nil { // plugins came and went meanwhile
		there := slices.Contains(*loaded, old.Plugin)
		switch {
		case !there:
			h.State, h.Reason = store.IntegrationParked, notLoaded(old.Plugin)
		case h.State == store.IntegrationParked:
			h.State, h.Reason = store.IntegrationActive, ""
		}
	}
	var next any
	if h.Scheduled && len(old.Connectors) > 0 {
		next = t.ms
	}
	if err := setHold(ctx, t, old.ID, nil); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `
		UPDATE integrations
		SET    state = $2, reason = $3, next_check_at = $4, next_check_from = $5, finishing = 0, updated_at = $5
		WHERE  id = $1`, old.ID, string(h.State), h.Reason, next, t.ms); err != nil {
		return fmt.Errorf("release integration %s: %w", old.FullName(), err)
	}
	if err := addEvent(ctx, t, "integration.enabled", old.ID, 0, map[string]any{"by": by}); err != nil {
		return err
	}
	return reschedule(ctx, t, old.ID)
}
