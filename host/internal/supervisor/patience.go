package supervisor

import (
	"cmp"
	"time"
)

// patience is how long a new version is on probation, and how long calls of what it
// replaces may go on.
type patience struct{ probation, drain time.Duration }

// SetPatience changes Options.Probation and Options.DrainTimeout for what is replaced
// from now on. Zero leaves one as it is.
func (s *Supervisor) SetPatience(probation, drain time.Duration) {
	now := s.patience.Load()
	s.patience.Store(&patience{cmp.Or(probation, now.probation), cmp.Or(drain, now.drain)})
}
