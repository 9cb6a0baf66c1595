// Package rest serves jackfield.host.v1 over HTTP: the routes that its methods name, as
// JSON, errors as problem details (RFC 9457), streams as a line or an event of JSON
// each. It asks the API for all, with the token that the request came with, and
// decides nothing itself.
package rest
