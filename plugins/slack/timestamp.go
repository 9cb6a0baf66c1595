package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseTS reads a message's timestamp, such as 1512085950.000216: seconds and
// microseconds. It is the message's id within its channel.
func parseTS(ts string) (time.Time, bool) {
	seconds, micros, _ := strings.Cut(ts, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || s < 0 || len(micros) > 6 {
		return time.Time{}, false
	}
	m, err := strconv.ParseInt((micros + "000000")[:6], 10, 64)
	if err != nil || m < 0 {
		return time.Time{}, false
	}
	return time.Unix(s, m*int64(time.Microsecond)).UTC(), true
}

// formatTS is the counterpart of parseTS. A time before 1970 is empty, which
// means from the beginning.
func formatTS(t time.Time) string {
	if t.Unix() <= 0 {
		return ""
	}
	return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/int(time.Microsecond))
}

// later reports whether a is later than b. An empty b is before everything.
func later(a, b string) bool {
	at, ok := parseTS(a)
	if !ok {
		return false
	}
	bt, ok := parseTS(b)
	return !ok || at.After(bt)
}
