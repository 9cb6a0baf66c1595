package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tokenLasts is short, so that a day of calls sees tokens end.
const tokenLasts = 5 * time.Minute

// api is what programs use. POST /api/login changes the API key for a token, which
// every other request needs.
type api struct {
	book    *book
	key     string
	base    string // of the addresses in its answers
	trouble atomic.Pointer[trouble]

	mu     sync.Mutex // guards tokens
	tokens map[string]time.Time
}

func (a *api) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/login", a.login)
	work := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, a.known(a.troubled(h))) }
	work("GET /api/contacts", a.search)
	work("GET /api/contacts/{id}/tickets", a.tickets)
	work("GET /api/contacts/{id}/calls", a.calls)
	work("GET /api/written", a.written)
	work("POST /api/contacts", a.addContact)
	work("POST /api/calls", a.beginCall)
	work("PUT /api/calls/{id}", a.endCall)
	work("POST /api/tickets", a.addTicket)
	work("POST /api/messages", a.addMessage)
	mux.Handle("GET /api/holdings", a.known(http.HandlerFunc(a.holdings))) // whoever counts is not lied to
	mux.Handle("PUT /api/trouble", a.known(http.HandlerFunc(a.setTrouble)))
	return mux
}

// login answers a token.
func (a *api) login(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Key string `json:"key"`
	}
	if !read(w, r, &in) {
		return
	}
	if subtle.ConstantTimeCompare([]byte(in.Key), []byte(a.key)) != 1 {
		refuse(w, http.StatusUnauthorized, "this key is not known", nil)
		return
	}
	token, now := rand.Text(), time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tokens == nil || len(a.tokens) >= maxItems {
		a.tokens = map[string]time.Time{} // everybody logs in again
	}
	a.tokens[token] = now.Add(tokenLasts)
	answer(w, http.StatusOK, map[string]any{"data": map[string]any{"token": token, "expires_in": int(tokenLasts.Seconds())}})
}

// known lets through who has a token.
func (a *api) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		a.mu.Lock()
		until := a.tokens[token]
		a.mu.Unlock()
		if !time.Now().Before(until) {
			refuse(w, http.StatusUnauthorized, "a token is needed (POST /api/login)", nil)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// search finds contacts by their number.
func (a *api) search(w http.ResponseWriter, r *http.Request) {
	type found struct {
		contact
		URL string `json:"url"`
	}
	items := []found{}
	a.book.look(func(h *holdings) {
		for _, c := range h.with(r.URL.Query().Get("phone")) {
			items = append(items, found{c, a.address(c.ID)})
		}
	})
	answer(w, http.StatusOK, map[string]any{"items": items})
}

// tickets lists those of a contact, the newest first.
func (a *api) tickets(w http.ResponseWriter, r *http.Request) {
	type shown struct {
		ticket
		URL string `json:"url"`
	}
	items := []shown{}
	a.book.look(func(h *holdings) {
		for _, t := range slices.Backward(h.Tickets) {
			if t.Contact == r.PathValue("id") && len(items) < 10 {
				items = append(items, shown{t, a.address(t.ID)})
			}
		}
	})
	answer(w, http.StatusOK, map[string]any{"items": items})
}

// calls lists those of a contact that are over, the newest first.
func (a *api) calls(w http.ResponseWriter, r *http.Request) {
	type shown struct {
		When   string `json:"when"`
		Result string `json:"result"`
		Agent  string `json:"agent"`
		URL    string `json:"url"`
	}
	items := []shown{}
	a.book.look(func(h *holdings) {
		for _, c := range slices.Backward(h.Calls) {
			if c.Contact == r.PathValue("id") && c.State == "done" && len(items) < 5 {
				items = append(items, shown{when(c.StartedAt), strings.ToLower(strings.ReplaceAll(c.Result, "_", " ")), c.Agent, a.address(c.ID)})
			}
		}
	})
	answer(w, http.StatusOK, map[string]any{"items": items})
}

// written says what a key wrote; nothing if it wrote nothing.
func (a *api) written(w http.ResponseWriter, r *http.Request) {
	out := map[string]any{}
	a.book.look(func(h *holdings) {
		if id, ok := h.Written[r.URL.Query().Get("key")]; ok {
			out["id"], out["url"] = id, a.address(id)
		}
	})
	answer(w, http.StatusOK, out)
}

func (a *api) addContact(w http.ResponseWriter, r *http.Request) {
	var in contact
	if !read(w, r, &in) {
		return
	}
	wrong := map[string]string{}
	if strings.TrimSpace(in.Name) == "" {
		wrong["name"] = "a contact needs a name"
	}
	if in.Email != "" && !strings.Contains(in.Email, "@") {
		wrong["email"] = "this is no e-mail address"
	}
	a.write(w, r, wrong, func(h *holdings) (string, error) {
		in.ID = h.next("c")
		h.Contacts = append(h.Contacts, in)
		return in.ID, nil
	})
}

func (a *api) beginCall(w http.ResponseWriter, r *http.Request) {
	var in callLog
	if !read(w, r, &in) {
		return
	}
	wrong := map[string]string{}
	if in.Call == "" {
		wrong["call"] = "a log needs the call that it is of"
	}
	a.write(w, r, wrong, func(h *holdings) (string, error) {
		in.ID, in.State = h.next("l"), "open"
		if in.Result != "" { // it has ended already
			in.State = "done"
		}
		h.Calls = append(h.Calls, in)
		return in.ID, nil
	})
}

func (a *api) endCall(w http.ResponseWriter, r *http.Request) {
	var in callLog
	if !read(w, r, &in) {
		return
	}
	a.write(w, r, nil, func(h *holdings) (string, error) {
		at := slices.IndexFunc(h.Calls, func(c callLog) bool { return c.ID == r.PathValue("id") })
		if at < 0 {
			return "", errMissing
		}
		c := &h.Calls[at]
		c.State, c.Result, c.Seconds, c.Disposition = "done", in.Result, in.Seconds, in.Disposition
		if in.Contact != "" { // who it was may be found out as people speak
			c.Contact = in.Contact
		}
		return c.ID, nil
	})
}

func (a *api) addTicket(w http.ResponseWriter, r *http.Request) {
	var in ticket
	if !read(w, r, &in) {
		return
	}
	wrong := map[string]string{}
	if n := len([]rune(strings.TrimSpace(in.Subject))); n < 5 {
		wrong["subject"] = "say it in five letters at least"
	}
	if !slices.Contains([]string{"", "low", "normal", "high"}, in.Priority) {
		wrong["priority"] = "is low, normal or high"
	}
	a.write(w, r, wrong, func(h *holdings) (string, error) {
		in.ID, in.State = h.next("t"), "open"
		h.Tickets = append(h.Tickets, in)
		return in.ID, nil
	})
}

func (a *api) addMessage(w http.ResponseWriter, r *http.Request) {
	var in message
	if !read(w, r, &in) {
		return
	}
	wrong := map[string]string{}
	if in.Number == "" {
		wrong["number"] = "a message needs a number"
	}
	a.write(w, r, wrong, func(h *holdings) (string, error) {
		in.ID = h.next("m")
		h.Messages = append(h.Messages, in)
		return in.ID, nil
	})
}

// holdings answers everything.
func (a *api) holdings(w http.ResponseWriter, _ *http.Request) {
	a.book.look(func(h *holdings) { answer(w, http.StatusOK, h) })
}

var errMissing = errors.New("there is no such log")

// write does what a request wants, unless something of it is wrong, and answers where it
// is. A request with an Idempotency-Key that was done is answered again and not done.
func (a *api) write(w http.ResponseWriter, r *http.Request, wrong map[string]string, fn func(h *holdings) (string, error)) {
	if len(wrong) > 0 {
		refuse(w, http.StatusUnprocessableEntity, "some fields are wrong", wrong)
		return
	}
	id, again, err := a.book.write(r.Header.Get("Idempotency-Key"), fn)
	switch {
	case errors.Is(err, errMissing):
		refuse(w, http.StatusNotFound, err.Error(), nil)
	case errors.Is(err, errFull):
		refuse(w, http.StatusInsufficientStorage, err.Error(), nil)
	case err != nil:
		refuse(w, http.StatusInternalServerError, err.Error(), nil)
	case again:
		answer(w, http.StatusOK, map[string]any{"id": id, "url": a.address(id)})
	default:
		answer(w, http.StatusCreated, map[string]any{"id": id, "url": a.address(id)})
	}
}

// address is where people see something.
func (a *api) address(id string) string { return a.base + "/#" + id }

// read reads the body, or refuses it.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "the body is no JSON of this kind", nil)
		return false
	}
	return true
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // who has gone reads nothing
}

func refuse(w http.ResponseWriter, code int, why string, fields map[string]string) {
	answer(w, code, map[string]any{"message": why, "errors": fields})
}
