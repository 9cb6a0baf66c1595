package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The bounds of what the CRM holds.
const (
	maxBody  = 64 << 10
	maxItems = 5_000 // of each kind
)

var errFull = errors.New("the CRM is full")

// contact is a person whom the CRM knows.
type contact struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Company string `json:"company,omitempty"`
	Phone   string `json:"phone,omitempty"`
	Email   string `json:"email,omitempty"`
}

// callLog is a call that was told to the CRM.
type callLog struct {
	ID          string `json:"id"`
	Call        string `json:"call"` // as the telephone system names it
	Contact     string `json:"contact,omitempty"`
	Agent       string `json:"agent,omitempty"`
	Direction   string `json:"direction,omitempty"`
	Number      string `json:"number,omitempty"`
	StartedAt   string `json:"started_at,omitempty"`
	State       string `json:"state"` // open until it is completed
	Result      string `json:"result,omitempty"`
	Seconds     int    `json:"seconds,omitempty"`
	Disposition string `json:"disposition,omitempty"`
}

// ticket is something to be done.
type ticket struct {
	ID       string `json:"id"`
	Contact  string `json:"contact,omitempty"`
	Call     string `json:"call,omitempty"`
	Subject  string `json:"subject"`
	Text     string `json:"text,omitempty"`
	Priority string `json:"priority,omitempty"`
	State    string `json:"state"`
}

// message is an SMS that was sent or came.
type message struct {
	ID        string `json:"id"`
	Direction string `json:"direction,omitempty"`
	Number    string `json:"number"`
	Agent     string `json:"agent,omitempty"`
	Text      string `json:"text"`
}

// holdings are everything that the CRM holds.
type holdings struct {
	Contacts []contact         `json:"contacts"`
	Calls    []callLog         `json:"calls"`
	Tickets  []ticket          `json:"tickets"`
	Messages []message         `json:"messages"`
	Written  map[string]string `json:"written"` // by idempotency key: the id of what was written
	Last     int               `json:"last"`    // number that was given
}

// book keeps the holdings, in a file if it has one.
type book struct {
	path string

	mu sync.Mutex // guards h
	h  holdings
}

// openBook reads the file, or begins with some contacts and their history.
func openBook(path string) (*book, error) {
	b := &book{path: path, h: firstHoldings()}
	if path == "" {
		return b, nil
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the caller's own file
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	var h holdings
	if err == nil {
		err = json.Unmarshal(raw, &h)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if h.Written == nil {
		h.Written = map[string]string{}
	}
	b.h = h
	return b, nil
}

// firstHoldings are those of the first start: one number with one contact, and one that
// two people share.
func firstHoldings() holdings {
	return holdings{
		Contacts: []contact{
			{ID: "c-1", Name: "Ada Brandt", Company: "Brandt Optics", Phone: "+4930123456", Email: "ada@brandt.example"},
			{ID: "c-2", Name: "Tom Weber", Company: "Weber & Sons", Phone: "+4940555100", Email: "tom@weber.example"},
			{ID: "c-3", Name: "Eva Weber", Company: "Weber & Sons", Phone: "+4940555100", Email: "eva@weber.example"},
			{ID: "c-4", Name: "Minh Tran", Company: "Lotus Travel", Phone: "+842812345678", Email: "minh@lotus.example"},
		},
		Calls: []callLog{
			{ID: "l-1", Call: "older-1", Contact: "c-1", Agent: "ben", Direction: "in", Number: "+4930123456", StartedAt: "2026-01-12T09:30:00Z", State: "done", Result: "COMPLETED", Seconds: 184},
			{ID: "l-2", Call: "older-2", Contact: "c-1", Agent: "ann", Direction: "out", Number: "+4930123456", StartedAt: "2026-01-19T14:05:00Z", State: "done", Result: "NO_ANSWER"},
		},
		Tickets: []ticket{
			{ID: "t-1", Contact: "c-1", Subject: "Lens arrived scratched", Priority: "high", State: "open"},
			{ID: "t-2", Contact: "c-1", Subject: "Invoice without VAT number", Priority: "normal", State: "closed"},
		},
		Written: map[string]string{},
		Last:    4,
	}
}

// look calls fn with what there is; fn keeps nothing of it.
func (b *book) look(fn func(h *holdings)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn(&b.h)
}

// write does what has a key once: with a key that was there it answers what that made.
// The holdings are on the disk before it returns.
func (b *book) write(key string, fn func(h *holdings) (string, error)) (id string, again bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id, done := b.h.Written[key]; done && key != "" {
		return id, true, nil
	}
	if len(b.h.Calls) >= maxItems || len(b.h.Tickets) >= maxItems || len(b.h.Contacts) >= maxItems || len(b.h.Messages) >= maxItems || len(b.h.Written) >= 4*maxItems {
		return "", false, errFull
	}
	if id, err = fn(&b.h); err != nil {
		return "", false, err
	}
	if key != "" {
		b.h.Written[key] = id
	}
	return id, false, b.save()
}

// save writes the file, whole or not at all.
func (b *book) save() error {
	if b.path == "" {
		return nil
	}
	raw, err := json.MarshalIndent(b.h, "", " ")
	if err != nil {
		return fmt.Errorf("write holdings: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(b.path), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(b.path+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(b.path+".new", b.path)
}

// next returns an id that nothing has.
func (h *holdings) next(kind string) string {
	h.Last++
	return kind + "-" + strconv.Itoa(h.Last)
}

// with returns the contacts that have a number, however it is written.
func (h *holdings) with(number string) []contact {
	out := []contact{}
	for _, c := range h.Contacts {
		if digits := plain(number); digits != "" && plain(c.Phone) == digits {
			out = append(out, c)
		}
	}
	return out
}

// plain returns the digits of a number with the code of its country; Germany's if it
// has none.
func plain(number string) string {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, number)
	switch {
	case strings.HasPrefix(strings.TrimSpace(number), "+"):
		return digits
	case strings.HasPrefix(digits, "00"):
		return digits[2:]
	case strings.HasPrefix(digits, "0"):
		return "49" + digits[1:]
	}
	return digits
}

// when says a time as people write it.
func when(stamp string) string {
	t, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return stamp
	}
	return t.UTC().Format("2 Jan 2006, 15:04")
}
