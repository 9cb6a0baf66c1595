package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackfield/jackfield/store"
)

// templatesAtOnce bounds how many templates one transaction writes: with their
// endpoints they are some thousand rows.
const templatesAtOnce = 50

// ApplyTemplates makes the stored templates those that are given: what differs is
// replaced, and what is in neither list is deleted, as long as no integration is of
// it. It returns the names of those that changed and of those that were deleted.
func (db *DB) ApplyTemplates(ctx context.Context, want []store.Template, keep []string) (changed, deleted []string, err error) {
	have, err := db.TemplateSums(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("apply templates: %w", err)
	}
	var todo []store.Template
	for _, t := range want {
		if sum, ok := have[t.Name]; !ok || !bytes.Equal(sum, t.Sum) {
			todo = append(todo, t)
		}
		delete(have, t.Name)
	}
	for batch := range slices.Chunk(todo, templatesAtOnce) {
		err := db.update(ctx, func(ctx context.Context, t *tx) error {
			for _, tpl := range batch {
				if err := saveTemplate(ctx, t, tpl); err != nil {
					return fmt.Errorf("template %s: %w", tpl.Name, err)
				}
			}
			return nil
		})
		if err != nil {
			return changed, nil, fmt.Errorf("apply templates: %w", err)
		}
		for _, tpl := range batch {
			changed = append(changed, tpl.Name)
		}
	}
	for _, name := range keep {
		delete(have, name)
	}
	for name := range have {
		gone, err := db.deleteTemplate(ctx, name)
		if err != nil {
			return changed, deleted, fmt.Errorf("apply templates: %w", err)
		}
		if gone {
			deleted = append(deleted, name)
		}
	}
	slices.Sort(deleted)
	return changed, deleted, nil
}

// TemplateSums returns what each template's file hashed to, by name. It reads nothing
// else of them.
func (db *DB) TemplateSums(ctx context.Context) (map[string][]byte, error) {
	have := map[string][]byte{}
	err := db.list(ctx, "SELECT name, sum FROM templates", nil, func(s scanner) error {
		var name string
		var sum []byte
		err := s.Scan(&name, &sum)
		have[name] = sum
		return err
	})
	return have, err
}

// deleteTemplate deletes a template that no integration is of.
func (db *DB) deleteTemplate(ctx context.Context, name string) (gone bool, err error) {
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		gone = false
		var used int64
		if err := t.get(ctx, "SELECT count(*) FROM integrations WHERE template = $1 AND removed_at IS NULL", []any{name}, &used); err != nil || used > 0 {
			return err
		}
		if _, err := t.exec(ctx, "DELETE FROM endpoints WHERE template_id = (SELECT id FROM templates WHERE name = $1)", name); err != nil {
			return err
		}
		n, err := t.exec(ctx, "DELETE FROM templates WHERE name = $1", name)
		gone = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("delete template %s: %w", name, err)
	}
	return gone, nil
}

// sending is how an endpoint's request is made, besides what has a column.
type sending struct {
	Headers     map[string]string `json:"headers,omitempty"`
	Body        json.RawMessage   `json:"body,omitempty"`
	Encoding    store.Encoding    `json:"encoding,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	Forward     *bool             `json:"forward,omitempty"`
	Timeout     time.Duration     `json:"timeout,omitempty"`
	Idempotent  bool              `json:"idempotent,omitempty"`
	Auth        *store.Auth       `json:"auth,omitempty"`
}

func saveTemplate(ctx context.Context, t *tx, tpl store.Template) error {
	columns, err := texts(tpl.Info, tpl.Parameters, tpl.Request, tpl.Auth)
	if err != nil {
		return err
	}
	var id int64
	err = t.get(ctx, `
		INSERT INTO templates (name, label, type, description, region, info, iframe, parameters, request, auth, file, sum, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
		ON CONFLICT (name) DO UPDATE
		SET    label = excluded.label, type = excluded.type, description = excluded.description, region = excluded.region,
		       info = excluded.info, iframe = excluded.iframe, parameters = excluded.parameters, request = excluded.request,
		       auth = excluded.auth, file = excluded.file, sum = excluded.sum, updated_at = excluded.updated_at
		RETURNING id`, []any{
		tpl.Name, tpl.Label, string(tpl.Type), tpl.Description, tpl.Region, columns[0], nullJSON(tpl.Iframe), columns[1], columns[2], columns[3],
		tpl.File, tpl.Sum, t.ms,
	}, &id)
	if err != nil {
		return err
	}
	t.writes++
	if _, err := t.exec(ctx, "DELETE FROM endpoints WHERE template_id = $1", id); err != nil {
		return err
	}
	for i, e := range tpl.Endpoints {
		columns, err := texts(e.Response, e.Hard, e.Parameters, sending{e.Headers, e.Body, e.Encoding, e.ContentType, e.Forward, e.Timeout, e.Idempotent, e.Auth})
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `
			INSERT INTO endpoints (template_id, place, name, label, type, method, url, description, trigger_at, response, hard_params, parameters, request)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			id, i, e.Name, e.Label, string(e.Type), e.Method, e.URL, e.Description, e.Trigger, columns[0], columns[1], columns[2], columns[3]); err != nil {
			return fmt.Errorf("endpoint %s: %w", e.Name, err)
		}
	}
	return nil
}

// texts returns values as JSON.
func texts(values ...any) ([]string, error) {
	out := make([]string, len(values))
	for i, v := range values {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		out[i] = string(raw)
	}
	return out, nil
}

// untext reads JSON; a number keeps all of its digits.
func untext(raw string, into any) error {
	dec := json.NewDecoder(strings.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// Templates returns the templates with their endpoints, by name. An empty name is
// all of them.
func (db *DB) Templates(ctx context.Context, name string) ([]store.StoredTemplate, error) {
	var out []store.StoredTemplate
	place := map[int64]int{}
	err := db.list(ctx, `
		SELECT   id, name, label, type, description, region, info, iframe, parameters, request, auth, file, sum, created_at, updated_at
		FROM     templates
		WHERE    $1 = '' OR name = $1
		ORDER BY name`, []any{name}, func(s scanner) error {
		id, t, err := scanTemplate(s)
		place[id] = len(out)
		out = append(out, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	err = db.list(ctx, `
		SELECT   e.template_id, e.name, e.label, e.type, e.method, e.url, e.description, e.trigger_at, e.response, e.hard_params, e.parameters, e.request
		FROM     endpoints e JOIN templates t ON t.id = e.template_id
		WHERE    $1 = '' OR t.name = $1
		ORDER BY e.template_id, e.place`, []any{name}, func(s scanner) error {
		id, e, err := scanEndpoint(s)
		if i, ok := place[id]; ok && err == nil {
			out[i].Endpoints = append(out[i].Endpoints, e)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list endpoints: %w", err)
	}
	return out, nil
}

func scanTemplate(s scanner) (id int64, t store.StoredTemplate, err error) {
	var (
		iframe                          nullString
		info, parameters, request, auth string
		created, updated                int64
	)
	err = s.Scan(&id, &t.Name, &t.Label, &t.Type, &t.Description, &t.Region, &info, &iframe, &parameters, &request, &auth, &t.File, &t.Sum, &created, &updated)
	if err != nil {
		return 0, t, err
	}
	t.Iframe = rawJSON(iframe)
	t.CreatedAt, t.UpdatedAt = fromMillis(created), fromMillis(updated)
	for _, c := range []struct {
		raw  string
		into any
	}{{info, &t.Info}, {parameters, &t.Parameters}, {request, &t.Request}, {auth, &t.Auth}} {
		if err := untext(c.raw, c.into); err != nil {
			return 0, t, fmt.Errorf("template %s: %w", t.Name, err)
		}
	}
	return id, t, nil
}

func scanEndpoint(s scanner) (template int64, e store.Endpoint, err error) {
	var response, hard, parameters, request string
	err = s.Scan(&template, &e.Name, &e.Label, &e.Type, &e.Method, &e.URL, &e.Description, &e.Trigger, &response, &hard, &parameters, &request)
	if err != nil {
		return 0, e, err
	}
	var how sending
	for _, c := range []struct {
		raw  string
		into any
	}{{response, &e.Response}, {hard, &e.Hard}, {parameters, &e.Parameters}, {request, &how}} {
		if err := untext(c.raw, c.into); err != nil {
			return 0, e, fmt.Errorf("endpoint %s: %w", e.Name, err)
		}
	}
	e.Headers, e.Body, e.Encoding, e.ContentType = how.Headers, how.Body, how.Encoding, how.ContentType
	e.Forward, e.Timeout, e.Idempotent, e.Auth = how.Forward, how.Timeout, how.Idempotent, how.Auth
	return template, e, nil
}
