package api

import (
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// timestamp returns nil for a time that is not set.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// count returns n as what the protocol counts with.
func count(n int) uint32 {
	return uint32(min(max(int64(n), 0), math.MaxUint32))
}

// ticks returns n likewise.
func ticks(n int) int32 {
	return int32(min(max(n, math.MinInt32), math.MaxInt32))
}

func idText(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// parseID reads the id of what, which a list command shows.
func parseID(what, text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, invalid("jackfield "+what+" list", "%q is not the id of a %s", text, what)
	}
	return id, nil
}

// The sizes of pages.
const (
	defaultPage = 100
	maxPage     = 1000
)

func pageSize(asked uint32) int {
	if asked == 0 {
		return defaultPage
	}
	return int(min(asked, maxPage))
}

// parsePage reads where the page before ended.
func parsePage(token string) (int64, error) {
	if token == "" {
		return 0, nil
	}
	at, err := strconv.ParseInt(token, 10, 64)
	if err != nil || at < 0 {
		return 0, invalid("pass next of the page before, as it is", "%q is not where a page ends", token)
	}
	return at, nil
}

// page cuts a list that was asked for with one more than size, and returns where
// the next page begins.
func page[T any](list []T, size int, at func(T) int64) ([]T, string) {
	if len(list) <= size {
		return list, ""
	}
	list = list[:size]
	return list, strconv.FormatInt(at(list[size-1]), 10)
}

func convert[From, To any](list []From, one func(From) To) []To {
	out := make([]To, len(list))
	for i, v := range list {
		out[i] = one(v)
	}
	return out
}

func (s *Server) failure(f *store.Failure) *hostv1.Failure {
	if f == nil {
		return nil
	}
	return &hostv1.Failure{
		Point:   f.Point,
		Class:   f.Class,
		Code:    f.Code,
		Message: s.opts.Redact(f.Message),
		Attempt: count(f.Attempt),
		Plugin:  f.Plugin,
		At:      timestamp(f.At),
		Request: s.request(f.Request),
		Details: s.details(f.Details),
	}
}

func (s *Server) details(details map[string]string) map[string]string {
	out := make(map[string]string, len(details))
	for name, value := range details {
		out[s.opts.Redact(name)] = s.opts.Redact(value)
	}
	return out
}

func (s *Server) request(r *store.Request) *hostv1.RequestFacts {
	if r == nil {
		return nil
	}
	return &hostv1.RequestFacts{
		Method:   r.Method,
		Url:      s.opts.Redact(r.URL),
		Status:   int32(min(max(r.Status, 0), 999)),
		Duration: durationpb.New(r.Duration),
		Host:     s.opts.Redact(r.Host),
	}
}

func (s *Server) problems(list []Problem) []*hostv1.Problem {
	return convert(list, func(p Problem) *hostv1.Problem {
		return &hostv1.Problem{
			Severity: p.Severity,
			Code:     p.Code,
			Message:  s.opts.Redact(p.Message),
			File:     p.File,
			Line:     count(p.Line),
			Column:   count(p.Column),
			Source:   s.opts.Redact(p.Source),
			Caret:    count(p.Caret),
			Help:     s.opts.Redact(p.Help),
		}
	})
}
