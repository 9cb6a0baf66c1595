package scheduler

import (
	"context"
	"maps"

	"github.com/jackfield/jackfield/store"
)

// fill claims lanes of the classes in which something is due for the free slots:
// first each class its share, then what is left for whoever waits, and last for
// those of whose tenant there is enough: what would be idle is theirs (K13). What the
// last claim said is due next is in s.next.
func (s *Scheduler) fill(ctx context.Context, plugins []string, prios []int) error {
	s.next = nil
	var none [3]bool // of the class nothing more is due of tenants that have room
	for _, prio := range prios {
		asked := s.shares.due(prio)
		got, err := s.take(ctx, plugins, prio, asked, s.shares.perTenant())
		if err != nil {
			return err
		}
		none[prio] = asked > 0 && got < asked
	}
	for _, prio := range prios {
		if none[prio] {
			continue
		}
		if _, err := s.take(ctx, plugins, prio, s.shares.free(prio), s.shares.perTenant()); err != nil {
			return err
		}
	}
	if !s.shares.crowds() {
		return nil
	}
	for _, prio := range prios {
		if _, err := s.take(ctx, plugins, prio, s.shares.free(prio), 0); err != nil {
			return err
		}
	}
	return nil
}

// take claims up to n lanes of a class, no more of a tenant than perTenant, and
// starts them.
func (s *Scheduler) take(ctx context.Context, plugins []string, prio, n, perTenant int) (int, error) {
	if n <= 0 {
		return 0, nil
	}
	var next store.Due
	got, err := s.db.ClaimLanes(ctx, store.LaneClaim{
		Plugins: plugins, Prios: []int{prio}, Limit: n, Lease: s.opts.Lease,
		PerTenant: perTenant, Held: maps.Clone(s.shares.tenants), Next: &next,
	})
	if err != nil {
		return 0, err
	}
	if len(got) > 0 {
		s.next = &next
	}
	for _, lane := range got {
		s.start(ctx, lane)
	}
	return len(got), nil
}
