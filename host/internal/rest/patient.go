package rest

import (
	"net/http"
	"time"
)

// writeTimeout bounds how long a part of an answer may take to be written.
const writeTimeout = time.Minute

// patient is an answer that may last, but no part of which may take long to write. A
// stream that fails before its first part is answered as any other failure.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	begun   bool
	failure *problem // of a stream
	over    bool     // the failure is written
}

// patientKey is where the context of a request has its answer.
type patientKey struct{}

func newPatient(w http.ResponseWriter) *patient {
	p := &patient{ResponseWriter: w, control: http.NewResponseController(w)}
	p.until(time.Time{})
	return p
}

func (p *patient) until(at time.Time) {
	_ = p.control.SetWriteDeadline(at) // where there is none, nothing waits
}

// WriteHeader writes the failure instead, if there is one.
func (p *patient) WriteHeader(code int) {
	if p.failure != nil && !p.begun {
		p.begun, p.over = true, true
		p.failure.write(p.ResponseWriter)
		return
	}
	p.begun = true
	p.ResponseWriter.WriteHeader(code)
}

// Write writes in its time.
func (p *patient) Write(b []byte) (int, error) {
	if p.over {
		return len(b), nil
	}
	p.begun = true
	p.until(time.Now().Add(writeTimeout))
	return p.ResponseWriter.Write(b)
}

// FlushError sends what was written.
func (p *patient) FlushError() error {
	err := p.control.Flush()
	p.until(time.Time{})
	return err
}

// Unwrap returns what it is around.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }
