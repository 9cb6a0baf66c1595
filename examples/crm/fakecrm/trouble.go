package main

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// trouble is what is wrong with the CRM on purpose.
type trouble struct {
	Fail float64 `json:"fail"` // share of requests that are refused before anything is done
	Lose float64 `json:"lose"` // share that are done, and whose answer never comes
	Slow string  `json:"slow"` // how long each answer takes, such as 200ms

	slow time.Duration
}

// check reports what is no trouble.
func (t trouble) check() error {
	if t.Fail < 0 || t.Fail > 1 || t.Lose < 0 || t.Lose > 1 {
		return errors.New("fail and lose are shares between 0 and 1")
	}
	if t.slow < 0 || t.slow > time.Minute {
		return errors.New("slow is a time of at most a minute, such as 200ms")
	}
	return nil
}

// setTrouble takes new troubles; {} ends them.
func (a *api) setTrouble(w http.ResponseWriter, r *http.Request) {
	var t trouble
	if !read(w, r, &t) {
		return
	}
	var err error
	if t.Slow != "" {
		t.slow, err = time.ParseDuration(t.Slow)
	}
	if err = errors.Join(err, t.check()); err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error(), nil)
		return
	}
	a.trouble.Store(&t)
	answer(w, http.StatusOK, t)
}

// troubled does what a request wants as well as the troubles let it.
func (a *api) troubled(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := a.trouble.Load()
		if t.slow > 0 {
			timer := time.NewTimer(t.slow)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
				return
			}
		}
		switch chance := rand.Float64(); { //nolint:gosec // nobody is to be kept from guessing
		case chance < t.Fail:
			refuse(w, http.StatusServiceUnavailable, "out of order", nil)
		case chance < t.Fail+t.Lose:
			next(lost{http.Header{}}, r)
			hangUp(w)
		default:
			next(w, r)
		}
	})
}

// lost is an answer that nobody gets.
type lost struct{ header http.Header }

// Header implements http.ResponseWriter.
func (l lost) Header() http.Header { return l.header }

// Write implements http.ResponseWriter.
func (lost) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements http.ResponseWriter.
func (lost) WriteHeader(int) {}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_ = conn.Close()
}
