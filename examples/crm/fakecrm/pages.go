package main

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

//go:embed assets
var assets embed.FS

// pages are what people see: what the CRM holds, and beside it the call that comes.
type pages struct {
	book  *book
	phone *phone
}

func (p *pages) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.home)
	mux.HandleFunc("GET /records", p.records)
	mux.HandleFunc("GET /call", p.call)
	mux.HandleFunc("POST /dial", p.dial)
	mux.HandleFunc("GET /jackfield.json", p.info)
	mux.Handle("GET /assets/", http.FileServerFS(assets))
	return mux
}

// home is the page; what it holds comes with it, so that it is read without JavaScript.
func (p *pages) home(w http.ResponseWriter, r *http.Request) {
	l := p.phone.link.Load()
	if l == nil {
		l = &link{}
	}
	w.Header().Set("Content-Security-Policy", strings.TrimSpace("default-src 'none'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src 'self' "+l.URL+"; frame-src "+l.URL))
	p.render(w, "page.html", map[string]any{"Link": l, "Holdings": p.view()})
}

// records is what the CRM holds, for the page to show anew.
func (p *pages) records(w http.ResponseWriter, _ *http.Request) {
	p.render(w, "records", map[string]any{"Holdings": p.view()})
}

// view copies what is shown.
func (p *pages) view() map[string]any {
	out := map[string]any{}
	p.book.look(func(h *holdings) {
		out["Contacts"], out["Calls"] = newest(h.Contacts), newest(h.Calls)
		out["Tickets"], out["Messages"] = newest(h.Tickets), newest(h.Messages)
	})
	return out
}

// most is how many of each kind the page shows.
const most = 12

// some are those of a kind that are shown, the newest first, and how many there are.
type some[T any] struct {
	List []T
	All  int
}

func newest[T any](all []T) some[T] {
	out := slices.Clone(all[max(0, len(all)-most):])
	slices.Reverse(out)
	return some[T]{out, len(all)}
}

// call answers the call that is to be shown, with its screen if the page shows another
// one: ?shown= is that.
func (p *pages) call(w http.ResponseWriter, r *http.Request) {
	out := map[string]string{}
	if p.phone.link.Load() == nil {
		answer(w, http.StatusOK, out)
		return
	}
	c, err := p.phone.newest(r.Context())
	if err == nil && c.ID != "" {
		out["id"] = c.ID
		if c.ID != r.URL.Query().Get("shown") {
			out["screen"], err = p.phone.screen(r.Context(), c)
		}
	}
	if err != nil {
		refuse(w, http.StatusBadGateway, err.Error(), nil)
		return
	}
	answer(w, http.StatusOK, out)
}

// dial begins a call to a number that somebody clicked.
func (p *pages) dial(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Number   string            `json:"number"`
		UserInfo map[string]string `json:"userInfo"`
	}
	if !read(w, r, &in) {
		return
	}
	if err := p.phone.dial(r.Context(), in.Number, in.UserInfo); err != nil {
		refuse(w, http.StatusBadGateway, err.Error(), nil)
		return
	}
	answer(w, http.StatusOK, map[string]any{})
}

// info hands on what the template says of these pages: where call buttons stand.
func (p *pages) info(w http.ResponseWriter, r *http.Request) {
	info, err := p.phone.info(r.Context())
	if err != nil {
		refuse(w, http.StatusBadGateway, err.Error(), nil)
		return
	}
	answer(w, http.StatusOK, map[string]any{"info": info})
}

func (p *pages) render(w http.ResponseWriter, name string, data any) {
	t, err := template.New("").Funcs(template.FuncMap{"when": when, "words": words}).ParseFS(assets, "assets/*.html")
	var out bytes.Buffer
	if err == nil {
		err = t.ExecuteTemplate(&out, name, data)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = out.WriteTo(w) // who has gone reads nothing
}

// words writes a code as people say it.
func words(code string) string { return strings.ToLower(strings.ReplaceAll(code, "_", " ")) }
