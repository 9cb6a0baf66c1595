package sdk

import (
	"net/url"
	"time"
)

// RequestFacts are what is kept of a request to a remote system, beside the error
// that it ended with. They hold no secret: no header, no body, no query.
type RequestFacts struct {
	Method   string
	URL      string // without query, fragment and user information
	Status   int    // 0 if no answer came
	Duration time.Duration
	Host     string // with the port if it is not the usual one
}

// FactsOf returns the facts of a request to u that was answered with status, or
// with none if it is 0.
func FactsOf(method string, u *url.URL, status int, took time.Duration) *RequestFacts {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return &RequestFacts{Method: method, URL: bare.String(), Status: status, Duration: took, Host: u.Host}
}
