package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/jackfield/jackfield/sdk"
)

// screen finds who calls, and says what the agent sees.
func (i integration) screen(ctx context.Context, e sdk.CallEvent) (sdk.CallAnswer, error) {
	var out struct {
		Items []sdk.CallContact `json:"items"`
	}
	if err := i.crm.do(ctx, http.MethodGet, "/contacts?phone="+url.QueryEscape(e.Number), "", nil, &out); err != nil {
		return sdk.CallAnswer{}, err
	}
	answer := sdk.CallAnswer{Contacts: out.Items}
	shown := sdk.Screen{Title: "Several contacts", Components: []sdk.Component{newTicket()}}
	switch len(out.Items) {
	case 0:
		shown = sdk.Screen{Title: "Unknown caller", Components: []sdk.Component{newContact(e.Number)}}
	case 1:
		who := out.Items[0]
		shown = sdk.Screen{Title: who.Name, Components: append(i.history(ctx, who), newTicket())}
	}
	raw, err := json.Marshal(shown)
	answer.Iframe = raw
	return answer, err
}

// history is what the CRM knows of a contact; the screen goes without what it does not
// answer.
func (i integration) history(ctx context.Context, who sdk.CallContact) []sdk.Component {
	var tickets struct {
		Items []struct{ Subject, Priority, State, URL string }
	}
	var calls struct {
		Items []struct{ When, Result, Agent, URL string }
	}
	for what, into := range map[string]any{"tickets": &tickets, "calls": &calls} {
		if err := i.crm.do(ctx, http.MethodGet, "/contacts/"+url.PathEscape(who.ID)+"/"+what, "", nil, into); err != nil {
			sdk.HostFrom(ctx).Log(sdk.LogWarn, "the history is not whole", "what", what, "error", err.Error())
		}
	}
	table := sdk.Component{Type: sdk.ComponentTable, Label: "Tickets", Columns: []string{"Subject", "Priority", "State"}}
	for _, t := range tickets.Items {
		table.Rows = append(table.Rows, []sdk.ScreenValue{{Text: t.Subject, URL: t.URL}, {Text: t.Priority}, {Text: t.State}})
	}
	list := sdk.Component{Type: sdk.ComponentList, Label: "Calls before"}
	for _, c := range calls.Items {
		list.Items = append(list.Items, sdk.ScreenValue{Label: c.When, Text: c.Result + ", " + c.Agent, URL: c.URL})
	}
	return []sdk.Component{table, list}
}

func newContact(phone string) sdk.Component {
	return sdk.Component{
		Type: sdk.ComponentForm, Label: "New contact", Action: sdk.ActionContact, Submit: "Make the contact",
		Fields: []sdk.ScreenField{
			{Name: "name", Label: "Name", Required: true},
			{Name: "company", Label: "Company"},
			{Name: "phone", Label: "Phone", Kind: sdk.FieldPhone, Value: phone},
			{Name: "email", Label: "E-mail", Kind: sdk.FieldEmail},
		},
	}
}

func newTicket() sdk.Component {
	return sdk.Component{
		Type: sdk.ComponentForm, Label: "New ticket", Action: sdk.ActionTicket, Submit: "Make the ticket",
		Fields: []sdk.ScreenField{
			{Name: "subject", Label: "Subject", Required: true},
			{Name: "text", Label: "What is it about", Kind: sdk.FieldMultiline},
			{
				Name: "priority", Label: "Priority", Kind: sdk.FieldSelect, Value: "normal", Required: true,
				Options: []sdk.ScreenOption{{Value: "low"}, {Value: "normal"}, {Value: "high"}},
			},
		},
	}
}
