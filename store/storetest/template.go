package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// aTemplate uses every field.
func aTemplate(name string) store.Template {
	yes, scheme := true, "Token"
	return store.Template{
		Name: name, Label: "Acme", Type: store.TemplateCRM, Description: "d", Region: "VN",
		Info: store.TemplateInfo{
			RenderTooltip: []store.Tooltip{{Path: "/c", Element: "#p"}}, ListOptions: []store.ListOption{{Name: "auto", Label: "Auto"}},
			UserInfo: []store.UserInfo{{Field: "agent", Path: "/", Element: ".me"}}, DataFunction: []store.DataFunction{{ObjectName: "contact", Endpoint: "find", When: "{{ true }}"}},
		},
		Iframe:     json.RawMessage(`{"title":"x"}`),
		Parameters: []store.TemplateParameter{{Name: "key", In: store.InHeader, As: "X-Key", Required: true, Secret: true}},
		Request:    store.RequestDefaults{BaseURL: "https://{{ host }}/api", Timeout: time.Second, Headers: map[string]string{"A": "b"}},
		Auth:       store.Auth{Type: store.AuthBearer, Value: "x", Scheme: &scheme},
		Endpoints: []store.Endpoint{
			{
				Name: "find", Label: "Find", Type: store.EndpointGetData, Method: "GET", URL: "/x/{id}", Description: "finds", Trigger: "call.started",
				Response:   store.Response{Shape: store.ShapeContact, List: "a.b", Item: map[string]string{"id": "id"}},
				Hard:       []store.HardParameter{{Name: "n", In: store.InBody, Value: json.Number("12345678901234567890")}},
				Parameters: []store.EndpointParameter{{Name: "id", In: store.InPath, From: store.FromCall, Key: "number", Format: "e164", Required: true}},
				Headers:    map[string]string{"X": "y"}, Body: json.RawMessage(`{"a":1}`), Encoding: store.EncodeForm, Forward: &yes, Timeout: time.Minute,
				Idempotent: true, Auth: &store.Auth{Type: store.AuthNone},
			},
			{Name: "alpha", Type: store.EndpointPostData, Method: "POST", URL: "/"},
		},
		File: "templates/" + name + ".yaml", Sum: []byte("1"),
	}
}

// rows: G01, G12
func testTemplates(t *testing.T, setup func(*testing.T) *world) {
	t.Run("ComeBackAsTheyWere", func(t *testing.T) {
		w := setup(t)
		one, two := aTemplate("two"), aTemplate("one")
		changed, deleted, err := w.s.ApplyTemplates(w.ctx(), []store.Template{one, two}, nil)
		require.NoError(t, err)
		require.Equal(t, []string{"two", "one"}, changed)
		require.Empty(t, deleted)
		all, err := w.s.Templates(w.ctx(), "")
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, []store.Template{two, one}, []store.Template{all[0].Template, all[1].Template})
		require.Equal(t, w.clock.Now(), all[0].CreatedAt)
	})

	t.Run("OnlyWhatDiffersIsWritten", func(t *testing.T) {
		w := setup(t)
		one, two := aTemplate("one"), aTemplate("two")
		_, _, err := w.s.ApplyTemplates(w.ctx(), []store.Template{one, two}, nil)
		require.NoError(t, err)
		w.clock.add(time.Hour)
		two.Label, two.Sum, two.Endpoints = "Other", []byte("2"), two.Endpoints[1:]
		changed, _, err := w.s.ApplyTemplates(w.ctx(), []store.Template{one, two}, nil)
		require.NoError(t, err)
		require.Equal(t, []string{"two"}, changed)
		got, err := w.s.Templates(w.ctx(), "two")
		require.NoError(t, err)
		require.Equal(t, two, got[0].Template)
		require.Equal(t, time.Hour, got[0].UpdatedAt.Sub(got[0].CreatedAt))
	})

	t.Run("WhatIsUsedOrKeptIsNotDeleted", func(t *testing.T) {
		w := setup(t)
		_, _, err := w.s.ApplyTemplates(w.ctx(), []store.Template{aTemplate("gone"), aTemplate("bad"), aTemplate("used")}, nil)
		require.NoError(t, err)
		spec := w.spec("crm")
		spec.Plugin, spec.Template, spec.Connectors, spec.Every = "", "used", nil, -1
		spec.Description = "of the sales team"
		spec.Host, spec.Callcenter, spec.Info, spec.Iframe = "crm.example", "cc-1", json.RawMessage(`{"a":1}`), json.RawMessage(`{}`)
		i := w.change(store.Change{Op: store.ChangeCreate, UID: "1", Spec: spec, Sync: true})
		require.Equal(t, []string{"of the sales team", "used", "cc-1", "crm.example", `{"a":1}`, `{}`}, []string{i.Description, i.Template, i.Callcenter, i.Host, string(i.Info), string(i.Iframe)})
		require.Zero(t, i.NextCheckAt)
		_, deleted, err := w.s.ApplyTemplates(w.ctx(), nil, []string{"bad"})
		require.NoError(t, err)
		require.Equal(t, []string{"gone"}, deleted)
		w.change(store.Change{Op: store.ChangeRemove, UID: "1"})
		_, deleted, err = w.s.ApplyTemplates(w.ctx(), nil, nil)
		require.NoError(t, err)
		require.Equal(t, []string{"bad", "used"}, deleted)
	})

	t.Run("NoPluginParksAnIntegrationOfATemplate", func(t *testing.T) {
		w := setup(t)
		spec := w.spec("crm")
		spec.Plugin, spec.Template, spec.Connectors = "", "used", nil
		w.change(store.Change{Op: store.ChangeCreate, UID: "1", Spec: spec})
		parked, _, err := w.s.ParkIntegrations(w.ctx(), nil)
		require.NoError(t, err)
		require.Empty(t, parked)
		spec.Host = "other.example"
		i := w.change(store.Change{Op: store.ChangeUpdate, UID: "1", Spec: spec})
		require.Equal(t, store.IntegrationActive, i.State)
		require.EqualValues(t, 2, i.Revision)
		list, err := w.s.Integrations(w.ctx(), store.IntegrationFilter{Template: "used"})
		require.NoError(t, err)
		require.Len(t, list, 1)
	})
}
