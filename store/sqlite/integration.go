package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackfield/jackfield/store"
)

const integrationColumns = `
	i.id, i.uid, i.tenant_id, t.name, i.name, i.label, i.description, i.plugin, i.template, i.callcenter, i.host, i.info, i.iframe, i.lookup, i.connectors, i.offered, i.every, i.cron, i.timezone, i.concurrency, i.page_size, i.on_type_change, i.enabled, i.log_warnings, i.onboarding_max_age, i.finish_on_disable,
	i.settings, i.settings_sum, i.patch, i.file, i.line, i.limit_records, i.limit_per, i.limit_factor, i.limit_key, i.state, i.reason, i.revision, i.generation,
	i.created_at, i.updated_at, i.onboarded_at, i.last_check_at, i.next_check_at, i.next_check_from, i.removed_at, i.keep_until, i.hold, i.finishing, i.unfit
	FROM integrations i JOIN tenants t ON t.id = i.tenant_id`

const integrationQuery = `SELECT` + integrationColumns + " WHERE i.id = $1"

// What each event of a call looks for.
const (
	integrationByUIDQuery  = `SELECT` + integrationColumns + " WHERE i.uid = $1"
	integrationByNameQuery = `SELECT` + integrationColumns + `
		WHERE    t.name = $1 AND i.name = $2
		ORDER BY i.removed_at IS NOT NULL, i.removed_at DESC, i.id DESC
		LIMIT 1`
)

func scanIntegration(s scanner) (store.Integration, error) {
	var (
		i                                                         store.Integration
		connectors, offered                                       string
		created, updated, per, age, lookup                        int64
		held, info, iframe                                        nullString
		onboarded, lastCheck, nextCheck, nextFrom, removed, until moment
	)
	err := s.Scan(&i.ID, &i.UID, &i.TenantID, &i.Tenant, &i.Name, &i.Label, &i.Description, &i.Plugin, &i.Template, &i.Callcenter, &i.Host, &info, &iframe, &lookup, &connectors, &offered, &i.Every, &i.Cron, &i.Timezone, &i.Concurrency, &i.PageSize, &i.OnTypeChange, &i.Enabled, &i.LogWarnings, &age, &i.FinishOnDisable,
		&i.Settings, &i.SettingsSum, &i.Patch, &i.File, &i.Line, &i.Limit.Records, &per, &i.Limit.OnboardingFactor, &i.Limit.Key, &i.State, &i.Reason, &i.Revision, &i.Generation,
		&created, &updated, &onboarded, &lastCheck, &nextCheck, &nextFrom, &removed, &until, &held, &i.Finishing, &i.Unfit)
	if err != nil {
		return store.Integration{}, err
	}
	if err := json.Unmarshal([]byte(connectors), &i.Connectors); err != nil {
		return store.Integration{}, fmt.Errorf("decode connectors: %w", err)
	}
	if err := json.Unmarshal([]byte(offered), &i.Offered); err != nil {
		return store.Integration{}, fmt.Errorf("decode connectors that were offered: %w", err)
	}
	if i.Hold, err = decodeHold(held); err != nil {
		return store.Integration{}, err
	}
	i.Info, i.Iframe = rawJSON(info), rawJSON(iframe)
	i.Lookup = time.Duration(lookup) * time.Millisecond
	i.OnboardingMaxAge = time.Duration(age) * time.Millisecond
	i.Limit.Per = time.Duration(per) * time.Millisecond
	if i.Limit.Records == 0 { // none, as it was declared: its factor is nobody's
		i.Limit = store.RecordLimit{}
	}
	i.CreatedAt, i.UpdatedAt = fromMillis(created), fromMillis(updated)
	i.OnboardedAt, i.LastCheckAt = onboarded.time(), lastCheck.time()
	i.NextCheckAt, i.NextCheckFrom = nextCheck.time(), nextFrom.time()
	i.RemovedAt, i.KeepUntil = removed.time(), until.time()
	return i, nil
}

// rawJSON returns JSON as it is stored; nothing of NULL.
func rawJSON(s nullString) json.RawMessage {
	if !s.Valid {
		return nil
	}
	return json.RawMessage(s.String)
}

// nullJSON returns what a column holds for JSON that may not be there.
func nullJSON(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return string(raw)
}

// Integrations returns the integrations that f selects, the removed ones whose
// data is kept among them, in the order they were made.
func (db *DB) Integrations(ctx context.Context, f store.IntegrationFilter) ([]store.Integration, error) {
	of := "$2 = ''"
	if f.Tenant != "" {
		of = "i.tenant_id = (SELECT id FROM tenants WHERE name = $2)"
	}
	beyond, err := json.Marshal(f.Beyond)
	if err != nil {
		return nil, fmt.Errorf("list integrations: %w", err)
	}
	var out []store.Integration
	err = db.list(ctx, `SELECT`+integrationColumns+`
		WHERE i.id > $1 AND `+of+` AND ($3 = '' OR i.name = $3)
		  AND ($4 = '' OR i.plugin = $4) AND ($5 = '' OR i.uid = $5) AND ($7 = 0 OR i.unfit <> '' AND i.removed_at IS NULL) AND ($8 = '' OR i.template = $8)
		  AND ($9 = 'null' OR i.state = 'active' AND i.removed_at IS NULL
		       AND EXISTS (SELECT 1 FROM json_each(i.connectors) c WHERE c.value NOT IN (SELECT value FROM json_each($9))))
		ORDER BY i.id
		LIMIT $6`, []any{f.After, f.Tenant, f.Name, f.Plugin, f.UID, limit(f.Limit, 1000), flag(f.Unfit), f.Template, string(beyond)}, func(s scanner) error {
		i, err := scanIntegration(s)
		out = append(out, i)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list integrations: %w", err)
	}
	return out, nil
}

// IntegrationByID returns the integration with the internal id.
func (db *DB) IntegrationByID(ctx context.Context, id int64) (store.Integration, error) {
	return db.integration(ctx, fmt.Sprintf("integration %d", id), integrationQuery, id)
}

// IntegrationByUID returns the integration with the outer id.
func (db *DB) IntegrationByUID(ctx context.Context, uid string) (store.Integration, error) {
	return db.integration(ctx, "integration "+uid, integrationByUIDQuery, uid)
}

// IntegrationByName returns the tenant's integration of that name. One that was
// removed is found if no other has taken its name.
func (db *DB) IntegrationByName(ctx context.Context, tenant, name string) (store.Integration, error) {
	return db.integration(ctx, "integration "+tenant+"/"+name, integrationByNameQuery, tenant, name)
}

func (db *DB) integration(ctx context.Context, what, query string, args ...any) (i store.Integration, err error) {
	err = db.get(ctx, query, args, func(s scanner) (err error) {
		i, err = scanIntegration(s)
		return err
	})
	if err != nil {
		return store.Integration{}, fmt.Errorf("%s: %w", what, err)
	}
	return i, nil
}

// integrationByID reads within t.
func integrationByID(ctx context.Context, t *tx, id int64) (store.Integration, error) {
	row, err := t.row(ctx, integrationQuery, id)
	if err != nil {
		return store.Integration{}, err
	}
	i, err := scanIntegration(row)
	if err != nil {
		return store.Integration{}, fmt.Errorf("integration %d: %w", id, notFound(err))
	}
	return i, nil
}

// SetIntegrationState says what keeps the integration from working, or that it
// works again. Disabled is a matter of configuration (ApplyChanges) and parked of
// its plugin (ParkIntegrations); both are refused here, and left alone if they are
// the state.
func (db *DB) SetIntegrationState(ctx context.Context, id int64, state store.IntegrationState, reason string) error {
	if state == store.IntegrationDisabled || state == store.IntegrationParked {
		return fmt.Errorf("set integration %d %s: %w", id, state, store.ErrInvalid)
	}
	return db.update(ctx, func(ctx context.Context, t *tx) error {
		i, err := integrationByID(ctx, t, id)
		if err != nil {
			return err
		}
		if i.State == store.IntegrationDisabled || i.State == store.IntegrationParked {
			return fmt.Errorf("integration %s is %s: %w", i.FullName(), i.State, store.ErrConflict)
		}
		if i.State == state && i.Reason == reason {
			return nil
		}
		if i.State == state && state == store.IntegrationNeedsReconnect { // people are told once, however the reason is worded
			_, err = t.exec(ctx, "UPDATE integrations SET reason = $2, updated_at = $3 WHERE id = $1", id, reason, t.ms)
			return err
		}
		return setIntegrationState(ctx, t, id, state, reason)
	})
}

func setIntegrationState(ctx context.Context, t *tx, id int64, state store.IntegrationState, reason string) error {
	if _, err := t.exec(ctx, `
		UPDATE integrations
		SET    state = $2, reason = $3, updated_at = $4
		WHERE  id = $1`, id, string(state), reason, t.ms); err != nil {
		return fmt.Errorf("set integration %d %s: %w", id, state, err)
	}
	if err := addEvent(ctx, t, "integration."+string(state), id, 0, map[string]any{"reason": reason}); err != nil {
		return err
	}
	return reschedule(ctx, t, id)
}

// ParkIntegrations parks the integrations of plugins that are not loaded and
// resumes those that are parked and whose plugin is. It returns the full names of
// what changed.
func (db *DB) ParkIntegrations(ctx context.Context, loaded []string) (parked, resumed []string, err error) {
	err = db.always(ctx, func(ctx context.Context, t *tx) error {
		parked, resumed = nil, nil
		var plugins []string
		err := t.each(ctx, "SELECT DISTINCT plugin FROM integrations WHERE plugin <> ''", nil, func(s scanner) error {
			var p string
			err := s.Scan(&p)
			plugins = append(plugins, p)
			return err
		})
		if err != nil {
			return fmt.Errorf("list plugins: %w", err)
		}
		for _, p := range plugins {
			if slices.Contains(loaded, p) {
				names, err := park(ctx, t, p, []store.IntegrationState{store.IntegrationParked}, store.IntegrationActive, "")
				if err != nil {
					return err
				}
				resumed = append(resumed, names...)
				continue
			}
			names, err := park(ctx, t, p, []store.IntegrationState{
				store.IntegrationActive, store.IntegrationError, store.IntegrationNeedsReconnect, store.IntegrationWaitingApproval,
			}, store.IntegrationParked, notLoaded(p))
			if err != nil {
				return err
			}
			parked = append(parked, names...)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("park integrations: %w", err)
	}
	loaded = slices.Clone(loaded)
	db.loaded.Store(&loaded)
	return parked, resumed, nil
}

// notLoaded is why an integration is parked.
func notLoaded(plugin string) string { return fmt.Sprintf("plugin %q is not loaded", plugin) }

// park moves the integrations of a plugin from these states to another and returns
// their full names. One that is parked as unfit stays so.
func park(ctx context.Context, t *tx, plugin string, from []store.IntegrationState, to store.IntegrationState, reason string) (names []string, err error) {
	var ids []int64
	for _, state := range from {
		err := t.each(ctx, `
			SELECT   i.id, t.name, i.name
			FROM     integrations i JOIN tenants t ON t.id = i.tenant_id
			WHERE    i.plugin = $1 AND i.state = $2 AND i.unfit = ''
			ORDER BY i.id`, []any{plugin, string(state)}, func(s scanner) error {
			var (
				id           int64
				tenant, name string
			)
			err := s.Scan(&id, &tenant, &name)
			ids, names = append(ids, id), append(names, tenant+"/"+name)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("integrations of plugin %s: %w", plugin, err)
		}
	}
	for _, id := range ids {
		if err := setIntegrationState(ctx, t, id, to, reason); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// setPatch keeps what a plugin changed of the settings, sealed.
func setPatch(ctx context.Context, t *tx, id int64, patch []byte) error {
	_, err := t.exec(ctx, "UPDATE integrations SET patch = $2, updated_at = $3 WHERE id = $1", id, patch, t.ms)
	if err != nil {
		return fmt.Errorf("keep settings of integration %d: %w", id, err)
	}
	return nil
}

// nullString is a text column that may be NULL.
type nullString = sql.NullString
