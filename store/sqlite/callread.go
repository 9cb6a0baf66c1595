package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

const callColumns = `
	SELECT id, integration, tenant, name, external, state, details, log_id, log_url, context, screen,
	       events, open, unknown, version, created_at, updated_at, closed_at
	FROM   calls
	`

// What is asked all the time.
const (
	callByIDQuery       = callColumns + "WHERE id = $1"
	callByExternalQuery = callColumns + "WHERE integration = $1 AND external = $2"
	callEventQuery      = callEventColumns + "WHERE id = $1"
	callEventsQuery     = callEventColumns + "WHERE call_id = $1 ORDER BY seq"
	dueCallsQuery       = "SELECT id, integration, external FROM calls WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at LIMIT $2"
	nextDueQuery        = "SELECT min(due_at) FROM calls WHERE due_at > $1"
)

// prepare prepares what is asked all the time.
func (b *Inbox) prepare(ctx context.Context) error {
	b.hot = map[string]*sql.Stmt{}
	for _, query := range []string{callByIDQuery, callByExternalQuery, callEventQuery, callEventsQuery, dueCallsQuery, nextDueQuery} {
		stmt, err := b.read.PrepareContext(ctx, query) //nolint:sqlclosecheck // unprepare closes it
		if err != nil {
			return errors.Join(fmt.Errorf("prepare %.60q: %w", query, driverError(err)), b.unprepare())
		}
		b.hot[query] = stmt
	}
	return nil
}

func (b *Inbox) unprepare() error {
	var errs []error
	for _, stmt := range b.hot {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

func scanCall(s scanner) (c store.Call, err error) {
	var (
		details                   string
		log, url, context, screen nullString
		created, updated, closed  moment
	)
	err = s.Scan(&c.ID, &c.Integration, &c.Tenant, &c.Name, &c.External, &c.State, &details, &log, &url, &context, &screen,
		&c.Events, &c.Open, &c.Unknown, &c.Version, &created, &updated, &closed)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(details), &c.CallDetails); err != nil {
		return c, fmt.Errorf("decode call %d: %w", c.ID, err)
	}
	c.Log = store.CallLog{ID: log.String, URL: url.String}
	c.Context, c.Screen = rawText(context), rawText(screen)
	c.CreatedAt, c.UpdatedAt, c.ClosedAt = created.time(), updated.time(), closed.time()
	return c, nil
}

func rawText(s nullString) json.RawMessage {
	if !s.Valid {
		return nil
	}
	return json.RawMessage(s.String)
}

const callEventColumns = `
	SELECT id, uid, call_id, seq, type, state, body, attempts, steps, answer, error, due_at, received_at, finished_at, same
	FROM   call_events
	`

func scanCallEvent(s scanner) (e store.CallEvent, err error) {
	var (
		body, steps             string
		answer, why, same       nullString
		due, received, finished moment
	)
	err = s.Scan(&e.ID, &e.UID, &e.CallID, &e.Seq, &e.Type, &e.State, &body, &e.Attempts, &steps, &answer, &why, &due, &received, &finished, &same)
	if err != nil {
		return e, err
	}
	e.Same = same.String
	e.Body, e.Answer = json.RawMessage(body), rawText(answer)
	if err := json.Unmarshal([]byte(steps), &e.Steps); err != nil {
		return e, fmt.Errorf("decode steps of event %d: %w", e.ID, err)
	}
	if why.Valid {
		e.Error = new(store.HookError)
		if err := json.Unmarshal([]byte(why.String), e.Error); err != nil {
			return e, fmt.Errorf("decode error of event %d: %w", e.ID, err)
		}
	}
	e.DueAt, e.ReceivedAt, e.FinishedAt = due.time(), received.time(), finished.time()
	return e, nil
}

func encodeHookError(e *store.HookError) (any, error) {
	if e == nil {
		return nil, nil //nolint:nilnil // NULL is the value
	}
	return encode(e)
}

func oneCall(ctx context.Context, t *tx, id int64) (store.Call, error) {
	row, err := t.row(ctx, callByIDQuery, id)
	if err != nil {
		return store.Call{}, err
	}
	c, err := scanCall(row)
	return c, notFound(err)
}

func oneEvent(ctx context.Context, t *tx, id int64) (store.CallEvent, error) {
	row, err := t.row(ctx, callEventQuery, id)
	if err != nil {
		return store.CallEvent{}, err
	}
	e, err := scanCallEvent(row)
	return e, notFound(err)
}

// Call returns a call by its number.
func (b *Inbox) Call(ctx context.Context, id int64) (store.Call, error) {
	return b.call(ctx, callByIDQuery, id)
}

// CallByExternal returns a call by the id that the sender of its events knows.
func (b *Inbox) CallByExternal(ctx context.Context, integration, external string) (store.Call, error) {
	return b.call(ctx, callByExternalQuery, integration, external)
}

func (b *Inbox) call(ctx context.Context, query string, args ...any) (c store.Call, err error) {
	err = b.list(ctx, query, args, func(s scanner) error {
		var err error
		c, err = scanCall(s)
		return err
	})
	if err == nil && c.ID == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return c, fmt.Errorf("call: %w", err)
	}
	return c, nil
}

// CallEvents returns the events of a call in their order.
func (b *Inbox) CallEvents(ctx context.Context, call int64) (out []store.CallEvent, err error) {
	err = b.list(ctx, callEventsQuery, []any{call}, func(s scanner) error { // MaxCallEvents at most
		e, err := scanCallEvent(s)
		out = append(out, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("events of call %d: %w", call, err)
	}
	return out, nil
}

// CallEvent returns an event by its number.
func (b *Inbox) CallEvent(ctx context.Context, id int64) (e store.CallEvent, err error) {
	err = b.list(ctx, callEventQuery, []any{id}, func(s scanner) error {
		var err error
		e, err = scanCallEvent(s)
		return err
	})
	if err == nil && e.ID == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return e, fmt.Errorf("call event %d: %w", id, err)
	}
	return e, nil
}

// Calls returns the calls that f selects, the newest first.
func (b *Inbox) Calls(ctx context.Context, f store.CallFilter) (out []store.Call, err error) {
	before := f.Before
	if before == 0 {
		before = 1 << 62
	}
	// Two texts, so that the tenant has its index.
	where := "WHERE id < $1 AND ($2 = '' OR integration = $2) AND "
	if f.Tenant == "" {
		where += "$3 = ''"
	} else {
		where += "tenant = $3"
	}
	if f.Open {
		where += " AND open > 0"
	}
	if f.Unknown {
		where += " AND unknown > 0"
	}
	err = b.list(ctx, callColumns+where+" ORDER BY id DESC LIMIT $4", []any{before, f.Integration, f.Tenant, limit(f.Limit, 100)}, func(s scanner) error {
		c, err := scanCall(s)
		out = append(out, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list calls: %w", err)
	}
	return out, nil
}

// CallCounts counts calls.
func (b *Inbox) CallCounts(ctx context.Context) (n store.CallCounts, err error) {
	err = b.list(ctx, `
		SELECT (SELECT value FROM meta WHERE name = 'open_calls'),
		       (SELECT count(*) FROM calls WHERE open > 0),
		       (SELECT count(*) FROM calls WHERE unknown > 0)`, nil, func(s scanner) error {
		return s.Scan(&n.Live, &n.Open, &n.Unknown)
	})
	if err != nil {
		return n, fmt.Errorf("count calls: %w", err)
	}
	return n, nil
}
