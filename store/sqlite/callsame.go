package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// MadeOfSame returns another event that made what an event is to make, and that is made
// once; or if none did, one of which nobody knows whether it did. It is false if there is
// neither.
func (b *Inbox) MadeOfSame(ctx context.Context, event int64) (made store.CallEvent, ok bool, err error) {
	var id int64
	err = b.read.QueryRowContext(ctx, `
		SELECT o.id
		FROM   call_events e JOIN call_events o ON o.same = e.same AND o.id <> e.id
		WHERE  e.id = $1 AND (json_extract(o.answer, '$.id') IS NOT NULL OR o.state = 'unknown')
		ORDER  BY json_extract(o.answer, '$.id') IS NULL, o.id
		LIMIT  1`, event).Scan(&id) // as many as forms of one number within the days that calls are kept
	if errors.Is(err, sql.ErrNoRows) {
		return made, false, nil
	}
	if err == nil {
		made, err = b.CallEvent(ctx, id)
	}
	if err != nil {
		return made, false, fmt.Errorf("read what was made before event %d: %w", event, driverError(err))
	}
	return made, true, nil
}
