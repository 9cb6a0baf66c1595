package config

import (
	"net/url"
	"strconv"
)

// Telemetry says where what the daemon does is told besides its log and its metrics.
type Telemetry struct {
	OTLP OTLP `json:"otlp"`
}

// OTLP says which collector traces go to.
type OTLP struct {
	Endpoint string  `json:"endpoint,omitempty"` // of OTLP over HTTP; empty: nothing is traced
	Share    float64 `json:"share,omitempty"`    // of the runs that are traced
}

// telemetry reads telemetry: {otlp: {endpoint, share}}.
func (l *loader) telemetry(o object) Telemetry {
	t, ok := o.src.object(o.at("telemetry"), "telemetry", "otlp")
	if !ok || !t.has("otlp") {
		return Telemetry{}
	}
	p, ok := o.src.object(t.at("otlp"), "telemetry.otlp", "endpoint", "share")
	if !ok {
		return Telemetry{}
	}
	p.need("endpoint")
	out := OTLP{Share: 1}
	if text, ok := p.text("endpoint"); ok {
		if collector(text) {
			out.Endpoint = text
		} else {
			o.src.hide(p.at("endpoint")) // who writes a password there does not want it shown
			o.src.failAt(CodeBadValue, p.at("endpoint"), "such as http://127.0.0.1:4318; no user, query or fragment", "%s: not the URL of a collector", join(p.path, "endpoint"))
		}
	}
	if n, ok := p.scalar("share", "a share", "!!int", "!!float"); ok {
		share, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || !(share > 0 && share <= 1) {
			o.src.failAt(CodeBadValue, n, "such as 0.1; without an endpoint nothing is traced", "%s: %s is not above 0 and up to 1", join(p.path, "share"), short(n.Value))
		} else {
			out.Share = share
		}
	}
	return Telemetry{OTLP: out}
}

// collector reports whether spans can be sent to the URL: it has no secret in it.
func collector(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
