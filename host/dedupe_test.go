package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// A plugin's manifest says of which field a number makes one contact; however the number
// is written, it is the same.
//
// rows: G28
func TestAManifestDeclaresThatANumberMakesOneContact(t *testing.T) {
	t.Parallel()
	m := sdk.Manifest{Name: "crm", Hooks: []string{sdk.HookCreateContact, sdk.HookCreateTicket}, DedupeContacts: "phone", Capabilities: []sdk.Capability{sdk.CanInvoke}}
	h := &callHooks{manifest: func(string) (sdk.Manifest, bool) { return m, true }}
	in := store.Integration{IntegrationSpec: store.IntegrationSpec{Plugin: "crm"}}
	same := h.Plan(t.Context(), in, store.ContactCreate).Same
	for given, want := range map[any]string{
		"+49 89 900-100": "+4989900100", "+4989900100": "+4989900100", "200": "200", "ext. 20-0": "200", "": "", "nobody": "", nil: "", 7: "",
	} {
		require.Equal(t, want, same(map[string]any{"phone": given}), "%v", given)
	}
	require.Equal(t, "+4989900100", sameNumber("089 900100", "DE"), "a template knows its country")
	require.Nil(t, h.Plan(t.Context(), in, store.TicketCreate).Same)
	m.DedupeContacts = ""
	require.Nil(t, h.Plan(t.Context(), in, store.ContactCreate).Same, "nobody declared it")
}
