package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store/sqlite/internal/failpoint"
)

// positionBlock is how many positions of the feed are reserved at once. A restart
// skips what is left of a block.
const positionBlock = 1_000_000

// recover begins a new epoch: no process but this one is there, so the lanes that
// earlier ones held are free, and what they were working on waits again. What was
// claimed keeps its interrupts (K11).
func (w *writer) recover(ctx context.Context) (epoch int64, err error) {
	if err := w.begin(ctx); err != nil {
		return 0, err
	}
	if epoch, err = newEpoch(ctx, &w.tx); err != nil {
		return 0, fmt.Errorf("begin epoch: %w", driverError(err))
	}
	if err := w.tx.get(ctx, "SELECT value FROM meta WHERE name = 'position'", nil, &w.reserved); err != nil {
		return 0, fmt.Errorf("read position: %w", driverError(err))
	}
	failpoint.Hit("epoch")
	if err := w.commit(ctx); err != nil {
		return 0, fmt.Errorf("begin epoch: %w", driverError(err))
	}
	w.pos = w.reserved
	w.position.Store(w.pos)
	return epoch, nil
}

func newEpoch(ctx context.Context, t *tx) (epoch int64, err error) {
	if err := t.get(ctx, "UPDATE meta SET value = value + 1 WHERE name = 'host_epoch' RETURNING value", nil, &epoch); err != nil {
		return 0, err
	}
	if _, err := t.exec(ctx, "UPDATE circuits SET until = $1, probing = 0 WHERE probing = 1", t.ms); err != nil {
		return 0, err
	}
	if _, err := t.exec(ctx, `
		UPDATE lanes
		SET    owner = NULL, lease_until = NULL, fence = fence + 1
		WHERE  owner IS NOT NULL`); err != nil {
		return 0, err
	}
	if _, err := t.exec(ctx, `
		UPDATE streams
		SET    state = 'pending', due_at = $1, updated_at = $1
		WHERE  state = 'processing'`, t.ms); err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, `
		UPDATE runs
		SET    n_pending = n_pending + n_processing, n_processing = 0, updated_at = $1
		WHERE  state IN ('pending', 'processing', 'delayed') AND n_processing > 0`, t.ms)
	return epoch, err
}

// positions gives n positions of the feed away and returns the first.
func (t *tx) positions(ctx context.Context, n int) (int64, error) {
	if t.pos+int64(n) > t.reserved {
		reserved := t.pos + int64(n) + positionBlock
		if _, err := t.exec(ctx, "UPDATE meta SET value = $1 WHERE name = 'position'", reserved); err != nil {
			return 0, fmt.Errorf("reserve positions: %w", err)
		}
		t.reserved = reserved
	}
	first := t.pos + 1
	t.pos += int64(n)
	return first, nil
}
