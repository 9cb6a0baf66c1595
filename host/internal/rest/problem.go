package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// problem is an error as it reads outside (RFC 9457). Code and hint are those of the
// command line.
type problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Code   string       `json:"code,omitempty"`
	Hint   string       `json:"hint,omitempty"`
	ID     string       `json:"id,omitempty"`     // of the line of the log
	Errors []fieldError `json:"errors,omitempty"` // of fields of the request
}

type fieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// problemOf reads an error of the API.
func problemOf(err error) problem {
	s := status.Convert(err)
	p := problem{Status: statusOf(s.Code()), Detail: s.Message()}
	for _, d := range s.Details() {
		info, ok := d.(*hostv1.ErrorInfo)
		if !ok {
			continue
		}
		p.Code, p.Hint, p.ID = info.GetCode(), info.GetHint(), info.GetId()
		if of, ok := statuses()[p.Code]; ok {
			p.Status = of
		}
		for _, f := range info.GetFields() {
			p.Errors = append(p.Errors, fieldError{Field: f.GetField(), Message: f.GetMessage()})
		}
	}
	return p
}

// statuses are those of the codes of the API that gRPC has no code for.
func statuses() map[string]int {
	return map[string]int{
		"conflict":         http.StatusConflict,
		"full":             http.StatusInsufficientStorage,
		"position_expired": http.StatusGone,
	}
}

func statusOf(code codes.Code) int {
	switch code { //nolint:exhaustive // the others are the runtime's
	case codes.FailedPrecondition:
		return http.StatusConflict
	default:
		return runtime.HTTPStatusFromCode(code)
	}
}

// complete fills in what follows from the status.
func (p problem) complete() problem {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	if p.Code == "" {
		p.Code = map[int]string{
			http.StatusBadRequest: "invalid", http.StatusNotFound: "not_found", http.StatusMethodNotAllowed: "invalid",
			http.StatusGatewayTimeout: "timeout", http.StatusServiceUnavailable: "unavailable",
		}[p.Status]
	}
	return p
}

func (p problem) write(w http.ResponseWriter) {
	p = p.complete()
	text, err := json.Marshal(p)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="jackfield"`)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(text, '\n')) // who asked may be gone
}

// handleError answers an error of a call.
func handleError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	p := problemOf(err)
	if routing, ok := errors.AsType[*runtime.HTTPStatusError](err); ok {
		p.Status = routing.HTTPStatus
	}
	w.Header().Del("Transfer-Encoding") // of the stream that it is not
	p.write(w)
}

// handleStreamError notes an error of a stream for its answer, if that has not begun.
func handleStreamError(ctx context.Context, err error) *status.Status {
	if p, ok := ctx.Value(patientKey{}).(*patient); ok && !p.begun {
		failure := problemOf(err)
		p.failure = &failure
		p.Header().Del("Transfer-Encoding") // of the stream that it is not
	}
	return status.Convert(err)
}

// handleRouting answers a request that no route is for.
func handleRouting(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	detail := "there is no such route"
	if code == http.StatusMethodNotAllowed {
		detail = "the route does not take " + r.Method
	}
	problem{Status: code, Detail: detail, Hint: "GET /api/openapi.json tells which routes there are"}.write(w)
}
