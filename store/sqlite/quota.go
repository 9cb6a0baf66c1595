package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// quotaChunk is the most that a lane draws at once. Towards the end of a limit it
// draws a quarter of what is left, so that those who share it all get some.
const quotaChunk = 5000

// DrawQuota gives the lane its part of what the integration's limit leaves for the
// run, in a transaction of its own: an apply only takes from the lane's part (K14).
// What the lane imported beyond its part is counted first. A lane that has some
// left gets no more.
func (db *DB) DrawQuota(ctx context.Context, lane store.LaneRef, runID int64) (q store.Quota, err error) {
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		if err := holds(ctx, t, lane); err != nil {
			return err
		}
		r, err := loadRun(ctx, t, runID)
		if err != nil {
			return err
		}
		l, err := limitOf(ctx, t, r.IntegrationID)
		if err != nil {
			return err
		}
		if !r.limitedBy(l) {
			q = store.Quota{Free: true}
			return nil
		}
		if l.Per == 0 {
			q, err = r.quotaOfRun(ctx, t, l)
			return err
		}
		p, err := l.share(ctx, t, lane.ID)
		if err != nil {
			return err
		}
		left := l.Most(r.Kind) - p.used
		if grant := min(quotaChunk, (left+3)/4); p.left <= 0 && grant > 0 {
			p.used, p.left, left = p.used+grant, grant, left-grant
		}
		q = store.Quota{Left: p.left, Rest: max(left, 0), Reset: fromMillis(p.from).Add(l.Per)}
		return p.save(ctx, t, lane.ID)
	})
	if err != nil {
		return store.Quota{}, fmt.Errorf("draw quota for run %d: %w", runID, err)
	}
	return q, nil
}

// LimitRun lets a run wait until its integration's limit begins anew, with what is
// left of its streams. If each run has the limit for itself the run is over:
// partial, and ContinueRun gives it the limit once more. A run that may go on
// stays as it is.
func (db *DB) LimitRun(ctx context.Context, lane store.LaneRef, runID int64) (store.Run, error) {
	var r *run
	err := db.update(ctx, func(ctx context.Context, t *tx) (err error) {
		if err := holds(ctx, t, lane); err != nil {
			return err
		}
		if r, err = loadRun(ctx, t, runID); err != nil {
			return err
		}
		l, err := limitOf(ctx, t, r.IntegrationID)
		if err != nil || !r.limitedBy(l) || r.State != store.RunProcessing {
			return err
		}
		if l.Per == 0 {
			return r.spend(ctx, t, l)
		}
		p, err := l.share(ctx, t, lane.ID)
		if err != nil {
			return err
		}
		if p.left <= 0 && p.used >= l.Most(r.Kind) {
			r.delay(p.from+l.Per.Milliseconds(), limitReason(l, r.Kind))
			if err := r.save(ctx, t); err != nil {
				return err
			}
		}
		if err := p.save(ctx, t, lane.ID); err != nil || r.State != store.RunDelayed {
			return err
		}
		return p.await(ctx, t)
	})
	if err != nil {
		return store.Run{}, fmt.Errorf("limit run %d: %w", runID, err)
	}
	return r.Run, nil
}

// LimitUse returns how far the integration's limit is used; ok is false if it has
// none.
func (db *DB) LimitUse(ctx context.Context, integrationID int64) (u store.LimitUse, ok bool, err error) {
	i, err := db.IntegrationByID(ctx, integrationID)
	if err != nil || i.Limit.Records == 0 {
		return u, false, err
	}
	kind := store.RunCheck
	if i.OnboardedAt.IsZero() {
		kind = store.RunOnboarding
	}
	u.Limit = i.Limit.Most(kind)
	l := recordLimit{RecordLimit: i.Limit, name: quotaName(i.ID, i.TenantID, i.Limit.Key)}
	query, arg := "SELECT used, from_at FROM quotas WHERE name = $1", any(l.name)
	if i.Limit.Per == 0 {
		query, arg = "SELECT read - limit_from, NULL FROM runs WHERE integration_id = $1 AND state IN ('processing', 'delayed') ORDER BY id DESC LIMIT 1", i.ID
	}
	err = db.list(ctx, query, []any{arg}, func(s scanner) error {
		var from moment
		err := s.Scan(&u.Used, &from)
		if !from.Valid {
			return err
		}
		u.Reset = from.time().Add(i.Limit.Per)
		if !u.Reset.After(db.opts.Now()) {
			u.Used, u.Reset = 0, time.Time{}
		}
		return err
	})
	if err != nil {
		return u, false, fmt.Errorf("limit of integration %d: %w", integrationID, err)
	}
	return u, true, nil
}

// limitReason says why a run waits.
func limitReason(l recordLimit, kind store.RunKind) string {
	l.Records = l.Most(kind)
	return fmt.Sprintf("the limit of %s is reached", l.RecordLimit)
}

// recordLimit is an integration's limit with the name of what counts for it.
type recordLimit struct {
	store.RecordLimit
	name string
}

func quotaName(integrationID, tenantID int64, key string) string {
	if key == "" {
		return fmt.Sprintf("integration:%d", integrationID)
	}
	return fmt.Sprintf("tenant:%d:%s", tenantID, key)
}

func limitOf(ctx context.Context, t *tx, integrationID int64) (l recordLimit, err error) {
	var tenantID, per int64
	err = t.get(ctx, "SELECT tenant_id, limit_records, limit_per, limit_factor, limit_key FROM integrations WHERE id = $1",
		[]any{integrationID}, &tenantID, &l.Records, &per, &l.OnboardingFactor, &l.Key)
	if err != nil {
		return l, fmt.Errorf("limit of integration %d: %w", integrationID, notFound(err))
	}
	l.Per = time.Duration(per) * time.Millisecond
	l.name = quotaName(integrationID, tenantID, l.Key)
	return l, nil
}

// setLimit keeps what configuration says of the limit.
func setLimit(ctx context.Context, t *tx, id int64, l store.RecordLimit) error {
	_, err := t.exec(ctx, `
		UPDATE integrations
		SET    limit_records = $2, limit_per = $3, limit_factor = $4, limit_key = $5
		WHERE  id = $1`, id, l.Records, l.Per.Milliseconds(), l.OnboardingFactor, l.Key)
	if err != nil {
		return fmt.Errorf("set limit of integration %d: %w", id, err)
	}
	return nil
}

// changeLimit is setLimit for an integration that may wait for the limit it had:
// it looks again at once.
func changeLimit(ctx context.Context, t *tx, old store.Integration, l store.RecordLimit) error {
	if l == old.Limit {
		return nil
	}
	if err := setLimit(ctx, t, old.ID, l); err != nil {
		return err
	}
	_, err := t.exec(ctx, `
		UPDATE runs
		SET    delayed_until = $2, updated_at = $2
		WHERE  integration_id = $1 AND state = 'delayed' AND delay_reason LIKE 'the limit of %'`, old.ID, t.ms)
	if err != nil {
		return fmt.Errorf("wake runs of integration %d: %w", old.ID, err)
	}
	return nil
}

// limitedBy reports whether the limit holds for what the run does now: its own
// calls are free.
func (r *run) limitedBy(l recordLimit) bool {
	return l.Records > 0 && r.phase >= phaseWork && r.phase < phasePostprocess
}

// quotaOfRun returns what is left of a limit that the run has for itself.
func (r *run) quotaOfRun(ctx context.Context, t *tx, l recordLimit) (store.Quota, error) {
	var from int64
	if err := t.get(ctx, "SELECT limit_from FROM runs WHERE id = $1", []any{r.ID}, &from); err != nil {
		return store.Quota{}, fmt.Errorf("limit of run %d: %w", r.ID, err)
	}
	return store.Quota{Left: l.Most(r.Kind) - (r.Stats.Read - from)}, nil
}

// spend ends a run that has used up the limit it had for itself.
func (r *run) spend(ctx context.Context, t *tx, l recordLimit) error {
	q, err := r.quotaOfRun(ctx, t, l)
	if err != nil || q.Left > 0 {
		return err
	}
	left := r.Streams.Pending + r.Streams.Processing + r.Streams.Delayed
	if err := r.cancelStreams(ctx, t); err != nil {
		return err
	}
	r.Failure = &store.Failure{
		Point: "limit", Class: "rate_limited", Code: "limit_reached", At: t.now.UTC(),
		Message: fmt.Sprintf("%s; %d streams are left (hint: jackfield run continue %d)", limitReason(l, r.Kind), left, r.ID),
	}
	return r.end(ctx, t, store.RunPartial)
}

// share is a lane's part of a quota, and the whole.
type share struct {
	name       string
	used, from int64
	left       int64 // of the lane
}

// share reads the lane's part as of now: with what it imported beyond it counted,
// and nothing left over from another quota or a period that has ended.
func (l recordLimit) share(ctx context.Context, t *tx, laneID int64) (share, error) {
	old, err := heldShare(ctx, t, laneID)
	if err != nil {
		return share{}, err
	}
	if old.name != "" && old.name != l.name {
		if err := old.giveBack(ctx, t); err != nil {
			return share{}, err
		}
		old = share{}
	}
	p := share{name: l.name, from: t.ms}
	err = t.get(ctx, "SELECT used, from_at FROM quotas WHERE name = $1", []any{l.name}, &p.used, &p.from)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return share{}, fmt.Errorf("quota %s: %w", l.name, err)
	}
	same := old.name != "" && old.from == p.from
	switch {
	case t.ms >= p.from+l.Per.Milliseconds():
		p.used, p.from, same = 0, t.ms, false
	case p.from > t.ms: // the clock has gone back
		p.from = t.ms
	}
	if same && old.left > 0 {
		p.left = old.left
	} else if same {
		p.used -= old.left
	}
	return p, nil
}

func (p share) save(ctx context.Context, t *tx, laneID int64) error {
	_, err := t.exec(ctx, `
		INSERT INTO quotas (name, used, from_at)
		VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE
		SET used = excluded.used, from_at = excluded.from_at`, p.name, p.used, p.from)
	if err == nil {
		_, err = t.exec(ctx, "UPDATE lanes SET quota = $2, quota_name = $3, quota_from = $4 WHERE id = $1", laneID, p.left, p.name, p.from)
	}
	if err != nil {
		return fmt.Errorf("quota %s: %w", p.name, err)
	}
	return nil
}

// heldShare returns what the lane has drawn; its name is empty if it has nothing.
func heldShare(ctx context.Context, t *tx, laneID int64) (p share, err error) {
	var (
		name nullString
		from moment
	)
	if err := t.get(ctx, "SELECT quota, quota_name, quota_from FROM lanes WHERE id = $1", []any{laneID}, &p.left, &name, &from); err != nil {
		return p, fmt.Errorf("quota of lane %d: %w", laneID, err)
	}
	p.name, p.from = name.String, from.Int64
	return p, nil
}

// returnQuota gives back what a lane has that is given up.
func returnQuota(ctx context.Context, t *tx, laneID int64) error {
	p, err := heldShare(ctx, t, laneID)
	if err != nil || p.name == "" {
		return err
	}
	if err := p.giveBack(ctx, t); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "UPDATE lanes SET quota = 0, quota_name = NULL, quota_from = NULL WHERE id = $1", laneID); err != nil {
		return fmt.Errorf("give back quota of lane %d: %w", laneID, err)
	}
	return nil
}

// takeQuota writes what applies imported from their lanes' parts, once a lane.
func (w *work) takeQuota(ctx context.Context, t *tx) error {
	for id, l := range w.lanes {
		if l.imported == 0 {
			continue
		}
		if _, err := t.exec(ctx, "UPDATE lanes SET quota = quota - $2 WHERE id = $1 AND quota_name IS NOT NULL", id, l.imported); err != nil {
			return fmt.Errorf("take from quota of lane %d: %w", id, err)
		}
	}
	return nil
}
