package scheduler

import "github.com/jackfield/jackfield/store"

// shares divide the slots among the priority classes (K13): each has a bound
// that leaves room for the others, so that none is ever starved.
type shares struct {
	slots int
	held  [3]int // by priority
}

// free returns how many lanes of the class may be claimed now. Interactive and
// check leave a slot for bulk; bulk leaves a quarter for them; check leaves one
// for interactive. A single slot serves whatever comes.
func (s *shares) free(prio int) int {
	total := s.slots - s.held[0] - s.held[1] - s.held[2]
	if s.slots < 4 {
		return total
	}
	switch prio {
	case store.PrioInteractive:
		return min(total, s.slots-1-s.held[0]-s.held[1])
	case store.PrioCheck:
		return min(total, s.slots-2-s.held[1], s.slots-1-s.held[0]-s.held[1])
	default:
		return min(total, s.slots-s.slots/4-s.held[2])
	}
}
