package sqlite

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// giveBack returns what the lane did not import, or counts what it did beyond. If
// there is some again that others wait for, they look.
func (p share) giveBack(ctx context.Context, t *tx) error {
	waited := false
	err := t.change(ctx, `
		UPDATE    quotas
		SET       used = max(used - $3, 0)
		WHERE     name = $1 AND from_at = $2
		RETURNING waiters`, []any{p.name, p.from, p.left}, func(s scanner) error { return s.Scan(&waited) })
	if err != nil {
		return fmt.Errorf("give back quota %s: %w", p.name, err)
	}
	if p.left <= 0 || !waited {
		return nil
	}
	return p.wake(ctx, t)
}

// await keeps in mind that a run sleeps until the quota begins anew, if there are
// others that may give some of it back.
func (p share) await(ctx context.Context, t *tx) error {
	if _, _, shared := sharedBy(p.name); !shared {
		return nil
	}
	if _, err := t.exec(ctx, "UPDATE quotas SET waiters = 1 WHERE name = $1", p.name); err != nil {
		return fmt.Errorf("wait for quota %s: %w", p.name, err)
	}
	return nil
}

// quotaWakes is how many runs are woken when quota is given back: each draws a part
// of what is left, so that there is little for many.
const quotaWakes = 4

// wake has the runs look that sleep at the limit for the longest time. It is asked
// for only after some did, and looks at the integrations that share the limit.
func (p share) wake(ctx context.Context, t *tx) error {
	tenantID, key, shared := sharedBy(p.name)
	if !shared {
		return nil
	}
	type sleeper struct{ run, integration int64 }
	var sleepers []sleeper
	if err := t.each(ctx, `
		SELECT   r.id, r.integration_id
		FROM     integrations i JOIN runs r ON r.integration_id = i.id
		WHERE    i.tenant_id = $1 AND i.limit_key = $2 AND r.state = 'delayed' AND r.delayed_until > $3 AND r.delay_reason LIKE 'the limit of %'
		ORDER BY r.delayed_from, r.id
		LIMIT    $4`, []any{tenantID, key, t.ms, quotaWakes}, func(s scanner) error {
		var r sleeper
		err := s.Scan(&r.run, &r.integration)
		sleepers = append(sleepers, r)
		return err
	}); err != nil {
		return fmt.Errorf("runs that wait for quota %s: %w", p.name, err)
	}
	if len(sleepers) < quotaWakes { // these are all
		if _, err := t.exec(ctx, "UPDATE quotas SET waiters = 0 WHERE name = $1", p.name); err != nil {
			return fmt.Errorf("wake who waits for quota %s: %w", p.name, err)
		}
	}
	for _, r := range sleepers {
		if _, err := t.exec(ctx, "UPDATE runs SET delayed_until = $2, delayed_from = $2, updated_at = $2 WHERE id = $1", r.run, t.ms); err != nil {
			return fmt.Errorf("wake run %d: %w", r.run, err)
		}
		if err := reschedule(ctx, t, r.integration); err != nil {
			return err
		}
	}
	return nil
}

// sharedBy takes the name of a quota apart that integrations of a tenant share.
func sharedBy(name string) (tenantID int64, key string, ok bool) {
	rest, ok := strings.CutPrefix(name, "tenant:")
	if !ok {
		return 0, "", false
	}
	id, key, ok := strings.Cut(rest, ":")
	tenantID, err := strconv.ParseInt(id, 10, 64)
	return tenantID, key, ok && err == nil
}
