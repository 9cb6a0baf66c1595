package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackfield/jackfield/sdk"
)

// deskTemplate is what the plugin brings along where it answers calls.
const deskTemplate = `name: desk
type: CRM
region: VN
parameters: [{name: user, required: true}, {name: password, required: true}]
request: {base_url: "http://{{ host }}"}
auth: {type: token, endpoint: login}
endpoints:
  - {name: login, type: Auth, url: /login, body: {user: "{{ fields.user }}", password: "{{ fields.password }}"}, response: {token: data.token, expires_in: data.ttl}}
  - name: find
    type: GetData
    url: /contacts
    parameters: [{name: phone, in: query, from: call, key: number, format: e164, required: true}]
    response: {shape: contact, list: items, item: {id: id, name: name, phone: phone}}
info:
  listOptions: [{name: ticket, label: A ticket for each call}, {name: copy, label: Copy contacts, default: true}, {name: loud, label: Ring aloud}]
  userInfo: [{field: agent_id, path: /home, element: .me}]
`

// deskSettings are those that its template calls with.
type deskSettings struct {
	Host     string     `json:"host" jsonschema_extras:"x-host=true"`
	User     string     `json:"user"`
	Password sdk.Secret `json:"password"`
}

// desk answers calls with the endpoints of its own template.
type desk struct{ *instance }

var _ sdk.Invoker = desk{}

// Invoke implements sdk.Invoker: the ID tells what the hook was given.
func (desk) Invoke(ctx context.Context, call sdk.HookCall) (sdk.HookResult, error) {
	var c sdk.CallHook
	if err := json.Unmarshal(call.Payload, &c); err != nil {
		return sdk.HookResult{}, err
	}
	given, err := json.Marshal(map[string]string{"number": c.Event.Number})
	if err != nil {
		return sdk.HookResult{}, err
	}
	found, err := sdk.CallEndpoint(ctx, "find", given)
	if err != nil {
		return sdk.HookResult{}, err
	}
	answer := sdk.CallAnswer{ID: fmt.Sprint(c.Options, " ", c.Event.UserInfo["agent_id"])}
	for _, item := range found.Items {
		answer.Contacts = append(answer.Contacts, sdk.CallContact{ID: item.Values["id"], Name: item.Values["name"]})
	}
	payload, err := json.Marshal(answer)
	return sdk.HookResult{Payload: payload}, err
}
