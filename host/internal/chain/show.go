package chain

import (
	"encoding/json"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Show makes the screen that is declared of what somebody else answered to the start of
// a call, with warnings about what it cannot show; nil if none is declared.
func Show(t Target, h sdk.CallHook, a sdk.CallAnswer) (json.RawMessage, []string) {
	flow := t.Flow(sdk.HookGetDataIframe, store.CallEventType(h.Event.Type))
	if flow.Screen == nil {
		return nil, nil
	}
	h.Event = normal(h.Event, flow, t)
	g := Given{Call: callOf(h, flow), Context: contextOf(h.Context, a.Context), Body: orEmpty(h.Event.Fields)}
	g.Context[Found] = append([]any{}, asList(a.Contacts)...)
	return flow.Screen(g)
}
