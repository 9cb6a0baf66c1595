package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackfield/jackfield/store"
)

// ApplyChanges applies a diff of configuration in one transaction. Disabling and
// removing take the lane away and cancel what is under way; removing keeps the data
// for store.KeepRemoved.
func (db *DB) ApplyChanges(ctx context.Context, changes []store.Change) error {
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		// Names may be exchanged, so all are given up before one is taken.
		for _, c := range changes {
			if c.Op != store.ChangeRename {
				continue
			}
			if _, err := t.exec(ctx, "UPDATE integrations SET name = ':' || uid WHERE uid = $1", c.UID); err != nil {
				return fmt.Errorf("rename integration %s: %w", c.UID, err)
			}
		}
		// What leaves comes first: another may take its name.
		for _, c := range changes {
			if c.Op == store.ChangeRemove {
				if err := applyChange(ctx, t, c); err != nil {
					return err
				}
			}
		}
		for _, c := range changes {
			if c.Op != store.ChangeRemove {
				if err := applyChange(ctx, t, c); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("apply configuration: %w", err)
	}
	return nil
}

func applyChange(ctx context.Context, t *tx, c store.Change) error {
	if c.UID == "" {
		return fmt.Errorf("%s integration %s/%s: no uid: %w", c.Op, c.Spec.Tenant, c.Spec.Name, store.ErrInvalid)
	}
	if c.Op == store.ChangeCreate {
		return createIntegration(ctx, t, c)
	}
	var id int64
	if err := t.get(ctx, "SELECT id FROM integrations WHERE uid = $1", []any{c.UID}, &id); err != nil {
		return fmt.Errorf("%s integration %s: %w", c.Op, c.UID, notFound(err))
	}
	old, err := integrationByID(ctx, t, id)
	if err != nil {
		return err
	}
	switch c.Op {
	case store.ChangeRemove:
		return removeIntegration(ctx, t, old)
	case store.ChangeDisable:
		c.Spec.Enabled = false
		return updateIntegration(ctx, t, c, old)
	case store.ChangeUpdate, store.ChangeRename, store.ChangeRestore:
		return updateIntegration(ctx, t, c, old)
	default:
		return fmt.Errorf("change %q of integration %s: %w", c.Op, c.UID, store.ErrInvalid)
	}
}

func createIntegration(ctx context.Context, t *tx, c store.Change) error {
	tenant, err := ensureTenant(ctx, t, c.Spec.Tenant)
	if err != nil {
		return err
	}
	connectors, err := encodeList(c.Spec.Connectors)
	if err != nil {
		return err
	}
	offered, err := encodeList(c.Spec.Offered)
	if err != nil {
		return err
	}
	state := store.IntegrationActive
	if !c.Spec.Enabled {
		state = store.IntegrationDisabled
	}
	var id int64
	err = t.get(ctx, `
		INSERT INTO integrations (uid, tenant_id, name, label, plugin, connectors, every, concurrency, enabled,
		       settings, settings_sum, file, line, created_by, state, reason, next_check_at, next_check_from, created_at, updated_at, log_warnings,
		       cron, timezone, onboarding_max_age, finish_on_disable, page_size, on_type_change, offered, template, callcenter, host, info, iframe, lookup, description)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $12, $14, $15, $16, $17, $17, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)
		RETURNING id`, []any{
		c.UID, tenant, c.Spec.Name, c.Spec.Label, c.Spec.Plugin, connectors, c.Spec.Every, c.Spec.Concurrency, flag(c.Spec.Enabled),
		blob(c.Spec.Settings), blob(c.Spec.SettingsSum), c.Spec.File, c.Spec.Line, string(state), disabledBy(c.Spec),
		millis(firstCheck(c, t.now)), t.ms, flag(c.Spec.LogWarnings), c.Spec.Cron, c.Spec.Timezone,
		c.Spec.OnboardingMaxAge.Milliseconds(), flag(c.Spec.FinishOnDisable), c.Spec.PageSize, string(cmp.Or(c.Spec.OnTypeChange, store.TypesPass)), offered,
		c.Spec.Template, c.Spec.Callcenter, c.Spec.Host, nullJSON(c.Spec.Info), nullJSON(c.Spec.Iframe), c.Spec.Lookup.Milliseconds(), c.Spec.Description,
	}, &id)
	if err != nil {
		return fmt.Errorf("create integration %s/%s: %w", c.Spec.Tenant, c.Spec.Name, conflict(err))
	}
	t.writes++
	if err := setLimit(ctx, t, id, c.Spec.Limit); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `
		INSERT INTO lanes (integration_id, class, plugin, tenant_id, prio)
		VALUES ($1, $2, $3, $4, $5)`, id, store.ClassPull, c.Spec.Plugin, tenant, store.PrioBulk); err != nil {
		return fmt.Errorf("create lane of %s/%s: %w", c.Spec.Tenant, c.Spec.Name, err)
	}
	if err := addEvent(ctx, t, "integration.created", id, 0, nil); err != nil {
		return err
	}
	return reschedule(ctx, t, id)
}

// firstCheck returns when a new, enabled or restored integration is looked at.
func firstCheck(c store.Change, now time.Time) time.Time {
	switch {
	case !c.Spec.Enabled || len(c.Spec.Connectors) == 0: // nothing to import is never due (O10, O13)
		return time.Time{}
	case c.Sync:
		return now
	default:
		return c.NextCheckAt
	}
}

// disabledBy returns the reason of an integration that its file disables.
func disabledBy(s store.IntegrationSpec) string {
	switch {
	case s.Enabled:
		return ""
	case s.File == "":
		return "disabled"
	default:
		return "disabled by " + s.File
	}
}

func updateIntegration(ctx context.Context, t *tx, c store.Change, old store.Integration) error {
	tenant, err := ensureTenant(ctx, t, c.Spec.Tenant)
	if err != nil {
		return err
	}
	connectors, err := encodeList(c.Spec.Connectors)
	if err != nil {
		return err
	}
	offered, err := encodeList(c.Spec.Offered)
	if err != nil {
		return err
	}
	var (
		was       = old.State != store.IntegrationDisabled
		swapped   = c.Spec.Plugin != old.Plugin
		settings  = !bytes.Equal(c.Spec.SettingsSum, old.SettingsSum)
		revision  = old.Revision
		state     = old.State
		reason    = old.Reason
		next      = old.NextCheckAt
		from      = old.NextCheckFrom
		finishing = old.Finishing
		rule      = c.Spec.Every != old.Every || c.Spec.Cron != old.Cron || c.Spec.Timezone != old.Timezone
	)
	remote := c.Spec.Template != old.Template || c.Spec.Host != old.Host || c.Spec.Callcenter != old.Callcenter
	if settings || swapped || remote || !slices.Equal(c.Spec.Connectors, old.Connectors) {
		revision++
	}
	switch {
	case !c.Spec.Enabled:
		state, reason, next = store.IntegrationDisabled, disabledBy(c.Spec), time.Time{}
		finishing = finishing || was && c.Spec.FinishOnDisable
	case old.Hold != nil: // files say nothing about it
		state, reason, next = store.IntegrationDisabled, heldBy(old.Hold), time.Time{}
		if err := keepHeld(ctx, t, c, old, settings || swapped, rule); err != nil {
			return err
		}
	case !was: // enabled or restored
		state, reason, next, finishing = store.IntegrationActive, "", firstCheck(c, t.now), false
	case len(c.Spec.Connectors) == 0:
		next = time.Time{}
	case c.Sync || len(old.Connectors) == 0:
		next = t.now
	case rule:
		next = c.NextCheckAt
	}
	if !next.Equal(old.NextCheckAt) {
		from = t.now
	}
	broken := state == store.IntegrationError || state == store.IntegrationNeedsReconnect
	if broken && (settings || swapped || remote) { // what was wrong may be right now
		state, reason = store.IntegrationActive, ""
	}
	_, err = t.exec(ctx, `
		UPDATE integrations
		SET    tenant_id = $2, name = $3, label = $4, plugin = $5, connectors = $6, every = $7, concurrency = $8, enabled = $9,
		       settings = $10, settings_sum = $11, file = $12, line = $13, state = $14, reason = $15, revision = $16,
		       next_check_at = $17, updated_at = $18, removed_at = NULL, keep_until = NULL, log_warnings = $19,
		       cron = $20, timezone = $21, next_check_from = $22, onboarding_max_age = $23, finish_on_disable = $24, finishing = $25,
		       page_size = $26, on_type_change = $27, offered = $28, template = $29, callcenter = $30, host = $31, info = $32, iframe = $33, lookup = $34, description = $35
		WHERE  id = $1`,
		old.ID, tenant, c.Spec.Name, c.Spec.Label, c.Spec.Plugin, connectors, c.Spec.Every, c.Spec.Concurrency, flag(c.Spec.Enabled),
		blob(c.Spec.Settings), blob(c.Spec.SettingsSum), c.Spec.File, c.Spec.Line, string(state), reason, revision, millis(next), t.ms,
		flag(c.Spec.LogWarnings), c.Spec.Cron, c.Spec.Timezone, millis(from),
		c.Spec.OnboardingMaxAge.Milliseconds(), flag(c.Spec.FinishOnDisable), flag(finishing),
		c.Spec.PageSize, string(cmp.Or(c.Spec.OnTypeChange, store.TypesPass)), offered,
		c.Spec.Template, c.Spec.Callcenter, c.Spec.Host, nullJSON(c.Spec.Info), nullJSON(c.Spec.Iframe), c.Spec.Lookup.Milliseconds(), c.Spec.Description)
	if err != nil {
		return fmt.Errorf("%s integration %s: %w", c.Op, old.FullName(), conflict(err))
	}
	if err := forgetShapes(ctx, t, old, cmp.Or(c.Spec.OnTypeChange, store.TypesPass)); err != nil {
		return err
	}
	if err := changeLimit(ctx, t, old, c.Spec.Limit); err != nil {
		return err
	}
	if swapped || tenant != old.TenantID {
		if _, err := t.exec(ctx, "UPDATE lanes SET plugin = $2, tenant_id = $3 WHERE integration_id = $1", old.ID, c.Spec.Plugin, tenant); err != nil {
			return fmt.Errorf("%s integration %s: %w", c.Op, old.FullName(), err)
		}
	}
	if err := changeEvent(ctx, t, c, old, state); err != nil {
		return err
	}
	if was && (!c.Spec.Enabled || swapped) {
		return stopRuns(ctx, t, old.ID, finishing && !swapped, "integration "+string(c.Op)+"d")
	}
	return reschedule(ctx, t, old.ID)
}

// keepHeld brings what an integration will be after its hold up to date.
func keepHeld(ctx context.Context, t *tx, c store.Change, old store.Integration, mended, rule bool) error {
	h := *old.Hold
	if broken := h.State == store.IntegrationError || h.State == store.IntegrationNeedsReconnect; broken && mended {
		h.State, h.Reason = store.IntegrationActive, ""
	}
	switch {
	case rule:
		h.Scheduled = !c.NextCheckAt.IsZero()
	case len(old.Connectors) == 0 && len(c.Spec.Connectors) > 0:
		h.Scheduled = true
	}
	return setHold(ctx, t, old.ID, &h)
}

func changeEvent(ctx context.Context, t *tx, c store.Change, old store.Integration, state store.IntegrationState) error {
	kind := "integration.updated"
	switch {
	case state == store.IntegrationDisabled && old.State != state:
		kind = "integration.disabled"
	case c.Op == store.ChangeRestore:
		kind = "integration.restored"
	case old.State == store.IntegrationDisabled && state != old.State:
		kind = "integration.enabled"
	case c.Op == store.ChangeRename:
		kind = "integration.renamed"
	}
	data := map[string]any{"fields": c.Fields}
	if c.Op == store.ChangeRename {
		data["to"] = c.Spec.Tenant + "/" + c.Spec.Name
	}
	return addEvent(ctx, t, kind, old.ID, 0, data)
}

func removeIntegration(ctx context.Context, t *tx, old store.Integration) error {
	if !old.RemovedAt.IsZero() {
		return nil
	}
	_, err := t.exec(ctx, `
		UPDATE integrations
		SET    enabled = 0, state = 'disabled', reason = 'gone from its file', next_check_at = NULL, finishing = 0,
		       removed_at = $2, keep_until = $3, updated_at = $2
		WHERE  id = $1`, old.ID, t.ms, t.now.Add(store.KeepRemoved).UnixMilli())
	if err != nil {
		return fmt.Errorf("remove integration %s: %w", old.FullName(), err)
	}
	if err := addEvent(ctx, t, "integration.removed", old.ID, 0, nil); err != nil {
		return err
	}
	if err := cancelRuns(ctx, t, old.ID, store.ClassPull, "integration removed"); err != nil {
		return err
	}
	return revoke(ctx, t, old.ID, store.ClassPull)
}
