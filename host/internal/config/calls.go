package config

import (
	"time"
)

// Calls say how the events of calls are handled.
type Calls struct {
	Lookup time.Duration `json:"lookup"` // how long a lookup may take, if a template does not say
	Retry  time.Duration `json:"retry"`  // how long a write is tried that does not arrive
	Keep   time.Duration `json:"keep"`   // how long calls are kept that are over
}

func defaultCalls() Calls {
	return Calls{Lookup: 3 * time.Second, Retry: 72 * time.Hour, Keep: 30 * 24 * time.Hour}
}

// calls reads calls: {lookup, retry, keep}.
func (l *loader) calls(o object, otherwise Calls) Calls {
	c, ok := o.src.object(o.at("calls"), "calls", callsKeys()...)
	if !ok {
		return otherwise
	}
	return Calls{
		Lookup: c.lookup("lookup", otherwise.Lookup),
		Retry:  c.within("retry", otherwise.Retry, time.Minute, 30*24*time.Hour, "such as 72h; 1m to 720h"),
		Keep:   c.within("keep", otherwise.Keep, 25*time.Hour, longestKept, "such as 720h, which is 30 days; at least 25h, since what is sent again within a day has one effect"),
	}
}

// lookup reads how long a lookup may take.
func (o object) lookup(key string, otherwise time.Duration) time.Duration {
	return o.within(key, otherwise, 100*time.Millisecond, 25*time.Second, "such as 3s; at most 25s: a phone does not ring longer")
}

func callsKeys() []string { return []string{"lookup", "retry", "keep"} }

// within reads a time between two others.
func (o object) within(key string, otherwise, least, most time.Duration, help string) time.Duration {
	text, ok := o.text(key)
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		o.src.failAt(CodeBadValue, o.at(key), help, "%s: %q is not such a time", join(o.path, key), short(text))
		return otherwise
	}
	return d
}
