package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// maxArtifacts is how many programs are remembered, those that are set aside left out.
const maxArtifacts = 1_000

// SavePluginMoves keeps what plugins, their programs and processes went through, in
// order: an event each, and where programs and plugins are now.
func (db *DB) SavePluginMoves(ctx context.Context, moves []store.PluginMove) error {
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		for _, m := range moves {
			if err := savePluginMove(ctx, t, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save moves of plugins: %w", err)
	}
	return nil
}

func savePluginMove(ctx context.Context, t *tx, m store.PluginMove) error {
	var err error
	switch m.Machine {
	case store.MachineArtifact:
		err = saveArtifact(ctx, t, m)
	case store.MachinePlugin:
		_, err = t.exec(ctx, `
			INSERT INTO plugin_services (plugin, version, digest, state, previous, previous_version, probation, since)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (plugin) DO UPDATE SET
			  version = excluded.version, digest = excluded.digest, state = excluded.state,
			  previous = excluded.previous, previous_version = excluded.previous_version,
			  probation = excluded.probation, since = excluded.since`,
			m.Plugin, m.Version, m.Digest, string(m.To), m.Previous, m.PreviousVersion, millis(m.Probation), m.At.UnixMilli())
		if err == nil {
			err = saveState(ctx, t, m)
		}
	case store.MachineProcess: // its rows are the events
	default:
		err = fmt.Errorf("machine %q: %w", m.Machine, invalid())
	}
	if err != nil {
		return fmt.Errorf("move %s %s: %w", m.Machine, m.Plugin, err)
	}
	return addEvent(ctx, t, pluginEvent(m), 0, 0, pluginEventData(m))
}

func saveArtifact(ctx context.Context, t *tx, m store.PluginMove) error {
	if _, err := t.exec(ctx, `
		INSERT INTO plugin_artifacts (digest, plugin, version, state, reason, detail, since)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (digest) DO UPDATE SET
		  plugin = excluded.plugin, version = excluded.version, state = excluded.state,
		  reason = excluded.reason, detail = excluded.detail, since = excluded.since`,
		m.Digest, m.Plugin, m.Version, string(m.To), m.Reason, m.Detail, m.At.UnixMilli()); err != nil {
		return err
	}
	if m.From != "" {
		return nil
	}
	_, err := t.exec(ctx, `
		DELETE FROM plugin_artifacts
		WHERE  digest IN (
		  SELECT   digest
		  FROM     plugin_artifacts
		  WHERE    state NOT IN ('quarantined', 'withdrawn')
		  ORDER BY since DESC, digest
		  LIMIT    100 OFFSET $1)`, maxArtifacts)
	return err
}

// pluginEvent is the kind of a move's event: plugin.active, plugin.process.exited.
func pluginEvent(m store.PluginMove) string {
	if m.To == "" {
		return "plugin." + string(m.Machine) + "." + m.Reason
	}
	if m.Machine == store.MachinePlugin {
		return "plugin." + string(m.To)
	}
	return "plugin." + string(m.Machine) + "." + string(m.To)
}

func pluginEventData(m store.PluginMove) map[string]any {
	data := map[string]any{"plugin": m.Plugin, "at": m.At.UTC(), "from": string(m.From), "to": string(m.To)}
	for name, value := range map[string]string{
		"version": m.Version, "digest": m.Digest, "reason": m.Reason, "detail": m.Detail,
		"previous": m.Previous, "previous_version": m.PreviousVersion,
	} {
		if value != "" {
			data[name] = value
		}
	}
	if m.PID != 0 {
		data["pid"] = m.PID
	}
	if !m.Probation.IsZero() {
		data["probation"] = m.Probation.UTC()
	}
	return data
}

// PluginArtifacts returns where the programs are, the newest move first.
func (db *DB) PluginArtifacts(ctx context.Context) ([]store.PluginArtifact, error) {
	var out []store.PluginArtifact
	err := db.list(ctx, `
		SELECT   digest, plugin, version, state, reason, detail, since
		FROM     plugin_artifacts
		ORDER BY since DESC, digest`, nil, func(s scanner) error {
		var (
			a     store.PluginArtifact
			since int64
		)
		err := s.Scan(&a.Digest, &a.Plugin, &a.Version, &a.State, &a.Reason, &a.Detail, &since)
		a.Since = fromMillis(since)
		out = append(out, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list programs: %w", err)
	}
	return out, nil
}

// PluginServices returns what serves under each plugin's name, by name.
func (db *DB) PluginServices(ctx context.Context) ([]store.PluginService, error) {
	var out []store.PluginService
	err := db.list(ctx, `
		SELECT   plugin, version, digest, state, previous, previous_version, probation, since
		FROM     plugin_services
		ORDER BY plugin`, nil, func(s scanner) error {
		var (
			p         store.PluginService
			probation moment
			since     int64
		)
		err := s.Scan(&p.Plugin, &p.Version, &p.Digest, &p.State, &p.Previous, &p.PreviousVersion, &probation, &since)
		p.Probation, p.Since = probation.time(), fromMillis(since)
		out = append(out, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list plugins: %w", err)
	}
	return out, nil
}
