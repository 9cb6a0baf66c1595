package main

import (
	"github.com/jackfield/jackfield/host/internal/callbox"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// holders are the agents of a call, as its events name them one after the other. Who
// had the call, or heard it ring, sees it no more once another has it: what is said
// then is between others. Somebody whom no event names, such as a supervisor, may look.
type holders struct {
	seen map[string]bool
	with string // who has it now; empty: that was not told
}

// take takes over what an event tells. A note, a form or a wrap-up tells who wrote it,
// and may come late: it says nothing of who has the call.
func (h *holders) take(e sdk.CallEvent) {
	switch typ := store.CallEventType(e.Type); {
	case typ == store.CallStarted: // it may ring at several
		h.had(e.Agent)
	case typ == store.CallConnected, typ == store.CallUpdated && (e.Update == "hold" || e.Update == "resume"):
		h.gets(e.Agent)
	case typ == store.CallUpdated && e.Update == callbox.UpdateTransfer:
		h.had(e.Agent)
		h.gets(e.TransferTo)
	}
}

// gets notes who has the call now, if that is told.
func (h *holders) gets(agent string) {
	if agent != "" {
		h.had(agent)
		h.with = agent
	}
}

func (h *holders) had(agent string) {
	if h.seen == nil {
		h.seen = map[string]bool{}
	}
	h.seen[agent] = true
}

// without reports whether an agent had the call and has it no more.
func (h *holders) without(agent string) bool {
	return h.with != "" && h.with != agent && h.seen[agent]
}
