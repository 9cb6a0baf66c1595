package scheduler

import "github.com/jackfield/jackfield/store"

// shares divide the slots among the priority classes and the tenants (K13).
type shares struct {
	slots   int
	held    [3]int        // by priority
	tenants map[int64]int // lanes held, by tenant
}

func newShares(slots int) shares { return shares{slots: slots, tenants: map[int64]int{}} }

// add counts a lane that is held from now on, or (n = -1) no more.
func (s *shares) add(lane store.Lane, n int) {
	s.held[clampPrio(lane.Prio)] += n
	if s.tenants[lane.TenantID] += n; s.tenants[lane.TenantID] == 0 {
		delete(s.tenants, lane.TenantID)
	}
}

// perTenant is how many lanes a tenant holds at most while others wait.
func (s *shares) perTenant() int { return max(1, s.slots/4) }

// crowds reports whether a tenant holds as much as it may while others wait.
func (s *shares) crowds() bool {
	for _, n := range s.tenants {
		if n >= s.perTenant() {
			return true
		}
	}
	return false
}

func (s *shares) total() int { return s.slots - s.held[0] - s.held[1] - s.held[2] }

// due returns how many lanes of the class may be claimed before the other classes
// have had theirs: of eleven slots eight are for what a person asked for, two for
// checks and one for bulk, and one at least for each.
func (s *shares) due(prio int) int {
	weights := [3]int{store.PrioInteractive: 8, store.PrioCheck: 2, store.PrioBulk: 1}
	return min(s.free(prio), max(1, s.slots*weights[prio]/11)-s.held[prio])
}

// free returns how many lanes of the class may be claimed now, whoever has work.
// Each class has a bound that leaves room for the others, so that one which comes
// late need not wait for a quantum to end: interactive and check leave a slot for
// bulk; bulk leaves a quarter for them; check leaves one for interactive. A single
// slot serves whatever comes.
func (s *shares) free(prio int) int {
	total := s.total()
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

func clampPrio(p int) int { return min(max(p, store.PrioInteractive), store.PrioBulk) }
