// Package appconnect makes a template of the description of a proxy connector of
// App Connect: JSON that names operations, each one HTTP request with texts in
// {{ }} and paths into the answer. It reads and writes nothing by itself.
package appconnect
