package secret

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// minRedacted is the length from which a value is taken out of text: shorter ones
// stand by chance in too many words.
const minRedacted = 6

// Redactor takes known secrets out of text that others wrote, such as the log
// lines of plugins. The zero Redactor knows none. It is safe for concurrent use.
type Redactor struct {
	replacer atomic.Pointer[strings.Replacer] // nil: to be built

	mu     sync.Mutex       // guards what follows
	values map[string]known // by owner
}

// known are the values of one owner: those of now, and those before, since what
// was replaced may still be written by who had it.
type known struct{ now, before []string }

// Keep makes values the secrets of owner. Those that it had before stay known
// until the next Keep that changes them. Values of fewer than 6 bytes are left out.
func (r *Redactor) Keep(owner string, values ...string) {
	now := forms(values)
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.values[owner]
	if slices.Equal(last.now, now) {
		return
	}
	if r.values == nil {
		r.values = map[string]known{}
	}
	r.values[owner] = known{now: now, before: last.now}
	r.replacer.Store(nil)
}

// Forget drops the secrets of owner.
func (r *Redactor) Forget(owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.values, owner)
	r.replacer.Store(nil)
}

// Redact returns text with Redacted in the place of every known secret, also
// where it is escaped for JSON or a URL.
func (r *Redactor) Redact(text string) string {
	if len(text) < minRedacted {
		return text
	}
	replacer := r.replacer.Load()
	if replacer == nil {
		replacer = r.build()
	}
	return replacer.Replace(text)
}

// build makes the replacer when the first text comes after a change, so that many
// changes cost one.
func (r *Redactor) build() *strings.Replacer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if replacer := r.replacer.Load(); replacer != nil {
		return replacer
	}
	var all []string
	for _, k := range r.values {
		all = append(append(all, k.now...), k.before...)
	}
	// The longest first: a secret may begin with another one.
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	all = slices.Compact(all)
	pairs := make([]string, 0, 2*len(all))
	for _, v := range all {
		pairs = append(pairs, v, Redacted)
	}
	replacer := strings.NewReplacer(pairs...)
	r.replacer.Store(replacer)
	return replacer
}

// forms returns the ways in which values are written, sorted: as they are, escaped,
// and line by line where they have several, as a private key has.
func forms(values []string) []string {
	var out []string
	add := func(v string) {
		if len(v) >= minRedacted {
			out = append(out, v)
		}
	}
	for _, v := range values {
		add(v)
		if len(v) < minRedacted {
			continue
		}
		if quoted, err := json.Marshal(v); err == nil {
			add(string(quoted[1 : len(quoted)-1]))
		}
		add(url.QueryEscape(v))
		add(url.PathEscape(v))
		if !strings.Contains(v, "\n") {
			continue
		}
		for line := range strings.Lines(v) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
				add(line)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
