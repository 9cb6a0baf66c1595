package supervisor

import (
	"math"

	"github.com/jackfield/jackfield/sdk"
)

// Opened returns the integrations of which the processes that serve have an instance,
// each with its revision.
func (s *Supervisor) Opened() []sdk.Integration {
	var out []sdk.Integration
	for _, p := range s.serving() {
		out = append(out, p.instances.lent(math.MaxInt)...)
	}
	return out
}

// Forget has instances of an integration's revision closed when nobody uses them any
// more: the process has no business with it. Who asks for one again gets a new one.
func (s *Supervisor) Forget(id string, revision int64) {
	for _, p := range s.serving() {
		p.instances.forget(id, revision)
	}
}

// serving returns the processes that take work.
func (s *Supervisor) serving() []*process {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*process
	for _, a := range s.everyone() {
		if p := a.process(); p != nil {
			out = append(out, p)
		}
	}
	return out
}

func (s *instances) forget(id string, revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, e := range s.byKey {
		if key.integration != id || key.revision != revision {
			continue
		}
		s.unshare(e)
		if e.users == 0 {
			s.close(e)
		}
	}
}
