package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// refusal is an answer of the listener itself.
type refusal struct {
	status           int
	code, text, hint string
}

// answer writes it: as problem details (RFC 9457) where programs ask, else as a line of
// text.
func answer(w http.ResponseWriter, r *http.Request, a refusal) {
	h := w.Header()
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(a.status)
		if a.hint != "" {
			a.text += " (hint: " + a.hint + ")"
		}
		fmt.Fprintln(w, a.text)
		return
	}
	if a.code == "" {
		a.code = "denied"
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // who asked may be gone
		"type": "about:blank", "title": http.StatusText(a.status), "status": a.status, "detail": a.text, "code": a.code, "hint": a.hint,
	})
}
