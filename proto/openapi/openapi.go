// Package openapi has the description of the HTTP API, made of the protocol files by
// make proto.
package openapi

import (
	_ "embed"
	"net/http"
)

// Document is the description, in JSON.
//
//go:embed openapi.json
var Document []byte

// Handler answers with the description.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(Document) // who asked may be gone
	})
}
