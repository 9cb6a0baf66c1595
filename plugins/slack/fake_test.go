package main

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// canary is the token of all tests: it must show nowhere but in the header.
const canary = "xoxb-canary-0123456789"

type object = map[string]any

// fakeCall is a request that the fake got.
type fakeCall struct {
	method, verb, url, auth string
	args                    url.Values
	request                 *http.Request
}

// fakeChannel is a channel of the fake with its messages, replies included.
type fakeChannel struct {
	id, name string
	private  bool
	archived bool
	outside  bool // the bot is no member
	general  bool
	messages []object
}

// fakeSlack is a workspace that answers like Slack: it pages by cursor, shorter
// than asked if it likes, hides replies from the history, and gives the oldest
// page first if it is asked for what is newer than a time alone.
type fakeSlack struct {
	server *httptest.Server

	mu       sync.Mutex
	users    []object
	channels []*fakeChannel
	longest  int       // longest page
	now      time.Time // messages after it are not written yet; none is hidden if zero
	calls    []fakeCall
	counts   map[string]int
	// disturb answers the n-th call of a method itself if it returns true.
	disturb func(method string, n int, w http.ResponseWriter, r *http.Request) bool
}

func newFake(t *testing.T) *fakeSlack {
	t.Helper()
	f := &fakeSlack{longest: 1000, counts: map[string]int{}}
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeSlack) url() string { return f.server.URL + "/api/" }

func (f *fakeSlack) serve(w http.ResponseWriter, r *http.Request) {
	method := path.Base(r.URL.Path)
	kept := r.Clone(r.Context())
	_ = r.ParseForm()
	f.mu.Lock()
	n := f.counts[method]
	f.counts[method]++
	f.calls = append(f.calls, fakeCall{method: method, verb: r.Method, url: r.URL.String(), auth: r.Header.Get("Authorization"), args: r.Form, request: kept})
	disturb := f.disturb
	f.mu.Unlock()
	if disturb != nil && disturb(method, n, w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(f.answer(method, r))
}

func no(reason string) object { return object{"ok": false, "error": reason} }

func (f *fakeSlack) answer(method string, r *http.Request) object {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch r.Header.Get("Authorization") {
	case "Bearer " + canary:
	case "":
		return no("not_authed")
	default:
		return no("invalid_auth")
	}
	limit := 100
	if said := r.Form.Get("limit"); said != "" {
		var err error
		if limit, err = strconv.Atoi(said); err != nil || limit < 1 || limit > 1000 {
			return no("invalid_limit")
		}
	}
	limit = min(limit, f.longest)
	switch method {
	case "auth.test":
		return object{"ok": true, "team_id": "T1", "user_id": "U0"}
	case "team.info":
		return object{"ok": true, "team": object{"id": "T1", "name": "Acme", "domain": "acme"}}
	case "users.list":
		return listed("members", f.users, limit, r.Form.Get("cursor"))
	case "users.info":
		for _, u := range f.users {
			if u["id"] == r.Form.Get("user") {
				return object{"ok": true, "user": u}
			}
		}
		return no("user_not_found")
	case "conversations.list":
		return f.listChannels(r, limit)
	}
	at := slices.IndexFunc(f.channels, func(c *fakeChannel) bool { return c.id == r.Form.Get("channel") })
	if at < 0 {
		return no("channel_not_found")
	}
	c := f.channels[at]
	switch {
	case method == "conversations.join" && r.Method == http.MethodPost:
		c.outside = false
		return object{"ok": true, "channel": object{"id": c.id}}
	case c.outside:
		return no("not_in_channel")
	case method == "conversations.history":
		return f.history(c, r.Form, limit)
	case method == "conversations.replies":
		return f.replies(c, r.Form, limit)
	}
	return no("unknown_method")
}

// listed pages by a position that the cursor hides.
func listed(key string, all []object, limit int, cursor string) object {
	from := 0
	if cursor != "" {
		var ok bool
		if from, ok = openCursor(cursor, "at:"); !ok {
			return no("invalid_cursor")
		}
	}
	to := min(from+limit, len(all))
	next := ""
	if to < len(all) {
		next = sealCursor("at:" + strconv.Itoa(to))
	}
	return object{"ok": true, key: all[from:to], "response_metadata": object{"next_cursor": next}}
}

func sealCursor(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func openCursor(cursor, prefix string) (int, bool) {
	raw, err := base64.StdEncoding.DecodeString(cursor)
	text, ok := strings.CutPrefix(string(raw), prefix)
	n, nerr := strconv.Atoi(text)
	return n, err == nil && ok && nerr == nil
}

// listChannels cuts the pages first and leaves archived channels out then.
func (f *fakeSlack) listChannels(r *http.Request, limit int) object {
	all := make([]object, 0, len(f.channels))
	for _, c := range f.channels {
		if c.private && !strings.Contains(r.Form.Get("types"), "private_channel") {
			continue
		}
		all = append(all, object{"id": c.id, "name": c.name, "is_private": c.private, "is_archived": c.archived, "is_member": !c.outside, "is_general": c.general})
	}
	a := listed("channels", all, limit, r.Form.Get("cursor"))
	if page, ok := a["channels"].([]object); ok && r.Form.Get("exclude_archived") == "true" {
		a["channels"] = slices.DeleteFunc(slices.Clone(page), func(c object) bool { return c["is_archived"] == true })
	}
	return a
}

func stamp(m object) time.Time {
	ts, _ := m["ts"].(string)
	at, _ := parseTS(ts)
	return at
}

func threadOf(m object) string {
	thread, _ := m["thread_ts"].(string)
	return thread
}

// written returns what is written by now and wanted, oldest first.
func (f *fakeSlack) written(c *fakeChannel, want func(object) bool) []object {
	var out []object
	for _, m := range c.messages {
		if (f.now.IsZero() || !stamp(m).After(f.now)) && want(m) {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b object) int { return stamp(a).Compare(stamp(b)) })
	return out
}

func within(args url.Values) func(object) bool {
	return func(m object) bool {
		oldest, hasOldest := parseTS(args.Get("oldest"))
		latest, hasLatest := parseTS(args.Get("latest"))
		return (!hasOldest || stamp(m).After(oldest)) && (!hasLatest || stamp(m).Before(latest))
	}
}

func (f *fakeSlack) history(c *fakeChannel, args url.Values, limit int) object {
	inWindow := within(args)
	all := f.written(c, func(m object) bool {
		return (threadOf(m) == "" || m["subtype"] == "thread_broadcast") && inWindow(m)
	})
	forward := args.Get("latest") == "" && args.Get("oldest") != ""
	if !forward {
		slices.Reverse(all)
	}
	if cursor := args.Get("cursor"); cursor != "" {
		micros, ok := openCursor(cursor, "next_ts:")
		if !ok {
			return no("invalid_cursor")
		}
		next := time.UnixMicro(int64(micros))
		all = slices.DeleteFunc(all, func(m object) bool {
			return (forward && stamp(m).Before(next)) || (!forward && stamp(m).After(next))
		})
	}
	a := object{"ok": true, "has_more": false}
	if len(all) > limit {
		a["has_more"] = true
		a["response_metadata"] = object{"next_cursor": sealCursor("next_ts:" + strconv.FormatInt(stamp(all[limit]).UnixMicro(), 10))}
		all = all[:limit]
	}
	page := make([]object, 0, len(all))
	for _, m := range all {
		page = append(page, f.withReplies(c, m))
	}
	if forward {
		slices.Reverse(page)
	}
	a["messages"] = page
	return a
}

// withReplies adds to a message what Slack tells of its thread.
func (f *fakeSlack) withReplies(c *fakeChannel, m object) object {
	replies := f.written(c, func(r object) bool { return threadOf(r) != "" && threadOf(r) == m["ts"] })
	if len(replies) == 0 {
		return m
	}
	out := object{"thread_ts": m["ts"], "reply_count": len(replies), "latest_reply": replies[len(replies)-1]["ts"]}
	maps.Copy(out, m)
	return out
}

// replies starts every page with the message that they answer.
func (f *fakeSlack) replies(c *fakeChannel, args url.Values, limit int) object {
	ts := args.Get("ts")
	parent := f.written(c, func(m object) bool { return m["ts"] == ts })
	if len(parent) == 0 {
		return no("thread_not_found")
	}
	inWindow := within(args)
	all := f.written(c, func(m object) bool { return threadOf(m) == ts && inWindow(m) })
	from := 0
	if cursor := args.Get("cursor"); cursor != "" {
		var ok bool
		if from, ok = openCursor(cursor, "reply:"); !ok {
			return no("invalid_cursor")
		}
	}
	to := min(from+limit, len(all))
	a := object{"ok": true, "has_more": to < len(all)}
	if to < len(all) {
		a["response_metadata"] = object{"next_cursor": sealCursor("reply:" + strconv.Itoa(to))}
	}
	a["messages"] = append([]object{f.withReplies(c, parent[0])}, all[from:to]...)
	return a
}

func (f *fakeSlack) user(id, name string) {
	f.users = append(f.users, object{
		"id": id, "name": name, "tz": "Europe/Berlin", "updated": 1700000000,
		"profile": object{"real_name": strings.ToUpper(name), "email": name + "@acme.example", "title": "Engineer", "image_192": "https://avatars.example/" + id},
	})
}

func (f *fakeSlack) channel(id, name string) *fakeChannel {
	c := &fakeChannel{id: id, name: name}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.channels = append(f.channels, c)
	return c
}

// say writes a message at a time and returns its timestamp.
func (f *fakeSlack) say(c *fakeChannel, at time.Time, user, text string, more ...object) string {
	m := object{"type": "message", "ts": formatTS(at), "user": user, "text": text}
	for _, fields := range more {
		maps.Copy(m, fields)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c.messages = append(c.messages, m)
	return formatTS(at)
}

func inThread(ts string) object { return object{"thread_ts": ts} }

func (f *fakeSlack) called(method string) []fakeCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []fakeCall
	for _, c := range f.calls {
		if method == "" || c.method == method {
			out = append(out, c)
		}
	}
	return out
}

func (f *fakeSlack) setDisturb(d func(method string, n int, w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.disturb, f.counts = d, map[string]int{}
}
